/** What is done with a message. */

import { html, nothing, type TemplateResult } from "lit-html";
import { tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Entry } from "../wire.js";
import type { View } from "./message.js";

export const EMOJI = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏"];

export function toolbar(view: View, entry: Entry, isMine: boolean, isActive: boolean): TemplateResult {
  const { t } = view;
  const tabindex = isActive ? 0 : -1;
  const button = (path: string, label: string, click: () => void) => tool(path, label, click, { tabindex });
  return html`<div class="toolbar" role="group" aria-label=${t("actions")}>
    ${isActive && view.step === "react"
      ? EMOJI.map((emoji) => html`<button type="button" class="icon" aria-label=${t("reactWith", { emoji })} @click=${() => view.react(entry, emoji)}>${emoji}</button>`)
      : isActive && view.step === "delete"
      ? html`<button type="button" class="sure" @click=${() => view.erase(entry)}>${t("delete")}</button>${button(paths.close, t("cancel"), () => view.activate(entry))}`
      : html`${button(paths.smile, t("react"), () => view.activate(entry, "react"))}
          ${button(paths.reply, t("reply"), () => view.reply(entry))}
          ${isMine ? button(paths.edit, t("edit"), () => view.edit(entry)) : nothing}
          ${isMine ? button(paths.bin, t("delete"), () => view.activate(entry, "delete")) : nothing}`}
  </div>`;
}
