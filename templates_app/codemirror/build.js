// Bundles index.js into the static files, with the licences of all that went in beside it.

import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const target = "../static/templates_app/vendor/codemirror";

const { metafile } = await build({
  entryPoints: ["index.js"],
  outfile: `${target}.js`,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  metafile: true,
});

const packages = new Set(
  Object.keys(metafile.inputs).flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []),
);
const texts = new Map();
for (const name of [...packages].sort()) {
  const { version } = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
  const licence = (await readFile(`node_modules/${name}/LICENSE`, "utf8")).trim();
  texts.set(licence, [...(texts.get(licence) ?? []), `${name} ${version}`]);
}
const parts = [...texts].map(([licence, names]) => `${names.join("\n")}\n\n${licence}\n`);
await writeFile(`${target}.LICENSE.txt`, parts.join(`\n${"-".repeat(80)}\n\n`));
