/** A picture, or the first letters of a name. */

import { html, nothing, type TemplateResult } from "lit-html";

const HUES = 5;

export function avatar(name: string, picture?: string, state?: string): TemplateResult {
  return html`<span class="avatar hue${hue(name)}" aria-hidden="true">
    ${picture ? html`<img src=${picture} alt="">` : letters(name)}
    ${state ? html`<span class="state ${state}"></span>` : nothing}
  </span>`;
}

function letters(name: string): string {
  const words = name.trim().split(/\s+/);
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return chosen.map((word) => [...(word ?? "")][0] ?? "").join("").toUpperCase();
}

function hue(name: string): number {
  return [...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 997, 7) % HUES;
}
