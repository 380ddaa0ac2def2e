import { html, nothing, type TemplateResult } from "lit-html";

export function icon(path: string): TemplateResult {
  return html`<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=${path}></path></svg>`;
}

interface Looks {
  /** More classes. */
  kind?: string;
  expanded?: boolean;
  pressed?: boolean;
  tabindex?: number;
  /** What stands on the icon. */
  badge?: number;
}

/** A button without words. `label` tells what it does. */
export function tool(path: string, label: string, click: () => void, looks: Looks = {}): TemplateResult {
  const { kind = "", expanded = nothing, pressed = nothing, tabindex = nothing, badge } = looks;
  return html`<button type="button" class="icon ${kind}" tabindex=${tabindex} aria-label=${label} title=${label} aria-expanded=${expanded} aria-pressed=${pressed} @click=${click}>
    ${icon(path)}${badge ? html`<span class="badge">${badge}</span>` : nothing}
  </button>`;
}
