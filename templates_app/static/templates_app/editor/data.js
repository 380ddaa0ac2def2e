// The data of a template as its schema has them: what they are called, what can be made up.

export const TYPES = {
  "": "anything", string: "text", number: "number", integer: "whole number", boolean: "yes or no", array: "list", object: "mapping",
};
const FORMATS = { iso8601: "date or time", decimal: "number as text" };

export const MADE_UP = "";

const BY_NAME = [
  [/e-?mail/, "ada@example.com"],
  [/url|link|href/, "https://example.com/"],
  [/phone|mobile/, "+49 30 1234567"],
  [/first_?name|^name$|user_?name/, "Ada"],
  [/last_?name|surname/, "Lovelace"],
  [/code|pin|otp/, "482913"],
  [/number|^id$|_id$/, "1042"],
  [/city/, "Berlin"],
  [/company|organi[sz]ation/, "Analytical Engines"],
];

export function madeUp(schema, name = "") {
  if (schema.examples?.length) return schema.examples[0];
  if (schema.enum?.length) return schema.enum[0];
  const types = [schema.type ?? (schema.properties ? "object" : schema.items ? "array" : "string")].flat();
  if (types.includes("object") || schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, inner]) => [key, madeUp(inner, key)]));
  }
  if (types.includes("array") || schema.items) {
    return [1, 2].map(() => madeUp(schema.items ?? {}, name.replace(/s$/, "")));
  }
  if (schema.format === "iso8601") return "2026-11-20T18:03:00Z";
  if (schema.format === "decimal" || (types.includes("number") && !types.includes("string"))) return numeric(name);
  if (types.includes("integer")) return 3;
  if (types.includes("boolean") && !types.includes("string")) return true;
  return BY_NAME.find(([pattern]) => pattern.test(name.toLowerCase()))?.[1] ?? words(name);
}

function numeric(name) {
  return /count|quantity|number|items/.test(name.toLowerCase()) ? 3 : 19.9;
}

function words(name) {
  const text = name.replace(/[_-]+/g, " ").trim();
  return text ? text[0].toUpperCase() + text.slice(1) : "Text";
}

// What both know of: a source that cannot be read just now takes no name away.
export function joined(before, after) {
  const found = { ...before, ...after };
  if (before.items && after.items) found.items = joined(before.items, after.items);
  const [old, fresh] = [before.properties ?? {}, after.properties ?? {}];
  const names = [...new Set([...Object.keys(old), ...Object.keys(fresh)])];
  if (names.length) {
    found.properties = Object.fromEntries(names.map((name) =>
      [name, old[name] && fresh[name] ? joined(old[name], fresh[name]) : fresh[name] ?? old[name]]));
  }
  return found;
}

// What people call the type.
export function kind(schema) {
  if (schema.items && !schema.properties) return "list";
  if (schema.properties) return "mapping";
  if (schema.format && FORMATS[schema.format]) return FORMATS[schema.format];
  const types = [schema.type ?? ""].flat().filter((each) => each !== "null");
  if (types.length > 2 || !types[0]) return "text";
  return types.map((type) => TYPES[type]).join(" or ");
}
