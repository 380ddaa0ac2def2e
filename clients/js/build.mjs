// Builds the modules that the service serves. The same sources give the same bytes.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, transform } from "esbuild";

const here = import.meta.dirname;
const out = process.argv[2] ?? join(here, "../../commsproject/console/static/comms");

/** A stylesheet as a text, without what only people need. */
const stylesheets = {
  name: "stylesheets",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

/** Templates without their indentation. Where a space is meant, it does not stand between lines. */
const templates = {
  name: "templates",
  setup({ onLoad }) {
    onLoad({ filter: /src.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace(/>\n\s+</g, "><").replace(/\n\s+/g, "\n"),
      loader: "ts",
    }));
  },
};

const common = {
  absWorkingDir: here,
  plugins: [stylesheets, templates],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};
await build({ ...common, entryPoints: { "comms-client": "src/client.ts" } });
await build({
  ...common,
  entryPoints: {
    "comms-chat": "src/chat/comms-chat.ts",
    "comms-search": "src/chat/search.ts",
    "comms-more": "src/chat/more.ts",
    "comms-inbox": "src/inbox/comms-inbox.ts",
  },
  banner: { js: "/*! With lit-html, Google LLC, BSD-3-Clause: lit.LICENSE.txt */" },
});
copyFileSync(join(here, "node_modules/lit-html/LICENSE"), join(out, "lit.LICENSE.txt"));
catalogues();
declarations();

/** Of each language one module, with the words of both widgets. */
function catalogues() {
  mkdirSync(join(out, "words"), { recursive: true });
  const files = readdirSync(join(here, "src/words")).sort();
  const languages = new Set(files.map((name) => name.split(".")[1]));
  for (const language of languages) {
    if (language === "en") continue; // in the widgets themselves
    const some = files.filter((name) => name.split(".")[1] === language);
    const parts = some.map((name) => {
      const words = JSON.parse(readFileSync(join(here, "src/words", name), "utf8"));
      return `export const ${name.split(".")[0]} = ${JSON.stringify(words)};\n`;
    });
    writeFileSync(join(out, "words", `${language}.js`), parts.join(""));
  }
}

/** The types of the client, in one file. */
function declarations() {
  const made = mkdtempSync(join(tmpdir(), "comms-types-"));
  const tsc = join(here, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", here, "--declaration", "--emitDeclarationOnly", "--outDir", made], { stdio: "inherit" });
  const parts = ["wire", "events", "http", "rest", "outbox", "line", "live", "client"].map((name) =>
    readFileSync(join(made, `${name}.d.ts`), "utf8")
      .replace(/^import [^;]*;\n/gm, "")
      .replace(/^export (type )?(\*|\{[^}]*\})( from[^;]*)?;\n/gm, ""),
  );
  writeFileSync(join(out, "comms-client.d.ts"), parts.join("\n"));
  rmSync(made, { recursive: true });
}
