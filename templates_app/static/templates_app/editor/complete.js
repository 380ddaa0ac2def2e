// What can stand where the cursor is in a template tag: names of the data, filters, statements.

import { kind } from "./data.js";
import { insideOfTag } from "./source.js";

const STATEMENTS = [
  { label: "if", detail: "condition", apply: "if  %}{% endif" },
  { label: "elif" }, { label: "else" }, { label: "endif" },
  { label: "for", detail: "loop", apply: "for item in  %}{% endfor" },
  { label: "endfor" },
];

// `known` gives {schema, filters, partials} as they are now.
export function completions(known) {
  return (context) => {
    const tag = insideOfTag(context);
    if (!tag) return null;
    const { schema, filters, partials } = known();
    if (/(["'])[^"']*$/.test(tag.text)) return isInclude(tag) ? options(context, partials, /[\w-]*/) : null;
    if (/\|\s*\w*$/.test(tag.text)) return options(context, filters, /\w*/);
    if (tag.isStatement && /^-?\s*\w*$/.test(tag.text)) {
      const include = partials.length ? [{ label: "include", detail: "partial", apply: 'include ""' }] : [];
      return options(context, [...STATEMENTS, ...include], /\w*/);
    }
    const path = tag.text.match(/([A-Za-z]\w*(?:\.\w+)*\.)?\w*$/)[1]?.slice(0, -1);
    return options(context, members(schema, path ? path.split(".") : [], loops(context)), /\w*/);
  };
}

function isInclude(tag) {
  return tag.isStatement && /^-?\s*include\s/.test(tag.text);
}

function options(context, found, pattern) {
  const word = context.matchBefore(pattern);
  if (!found.length || (!context.explicit && word && word.from === word.to && !/[|.{%"']\s?$/.test(context.state.sliceDoc(Math.max(0, word.from - 2), word.from)))) return null;
  return { from: word ? word.from : context.pos, options: found, validFor: pattern };
}

// {line: ["order", "lines"]} of the loops that are open at the cursor.
function loops(context) {
  const open = [];
  const before = context.state.sliceDoc(0, context.pos);
  for (const [, name, path] of before.matchAll(/\{%-?\s*(?:for\s+(\w+)\s+in\s+([\w.]+)|endfor\b)/g)) {
    if (name) open.push([name, path.split(".")]);
    else open.pop();
  }
  return Object.fromEntries(open);
}

function members(schema, path, open) {
  let [at, rest] = [schema, path];
  for (let depth = 0; rest[0] in open && depth < 5; depth += 1) {
    rest = [...open[rest[0]], "[]", ...rest.slice(1)];
  }
  for (const name of rest) at = name === "[]" ? at?.items : at?.properties?.[name];
  const names = Object.entries(at?.properties ?? {}).map(([label, inner]) => ({
    label,
    type: "variable",
    detail: kind(inner),
    info: inner.description || undefined,
  }));
  if (path.length) return names;
  return [...Object.keys(open).map((label) => ({ label, type: "variable", detail: "of the loop", boost: 1 })), ...names];
}
