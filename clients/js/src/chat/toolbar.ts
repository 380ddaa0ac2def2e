/** What is done with a message, and with a conversation. */

import { html, nothing, type TemplateResult } from "lit-html";
import type { CommsError } from "../http.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Conversation, Entry } from "../wire.js";
import type { Desk } from "./files.js";
import type { Trouble, View, Word } from "./message.js";

const EMOJI = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏"];
const FOREVER = "9999-12-31T00:00:00Z";

export class Actions {
  constructor(private readonly desk: Pick<Desk, "root" | "calls" | "view">) {}

  toolbar(view: View, entry: Entry, isMine: boolean, isActive: boolean): TemplateResult {
    const { t } = view;
    const tabindex = isActive ? 0 : -1;
    const button = (path: string, label: string, click: () => void) => tool(path, label, click, { tabindex });
    return html`<div class="toolbar" role="group" aria-label=${t("actions")}>
      ${isActive && view.step === "react"
        ? EMOJI.map((emoji) => html`<button type="button" class="icon" aria-label=${t("reactWith", { emoji })} @click=${() => this.react(entry, emoji)}>${emoji}</button>`)
        : isActive && view.step === "delete"
        ? html`<button type="button" class="sure" @click=${() => this.#erase(entry)}>${t("delete")}</button>${button(paths.close, t("cancel"), () => view.activate(entry))}`
        : html`${button(paths.smile, t("react"), () => view.activate(entry, "react"))}
            ${button(paths.reply, t("reply"), () => view.reply(entry))}
            ${isMine ? button(paths.edit, t("edit"), () => view.edit(entry)) : nothing}
            ${isMine ? button(paths.bin, t("delete"), () => view.activate(entry, "delete")) : nothing}`}
    </div>`;
  }

  /** Or take the reaction back. */
  react(entry: Entry, emoji: string): void {
    const { calls, view } = this.desk;
    const { thread } = view;
    const isOn = entry.reactions.some((one) => one.emoji === emoji && one.by.some((author) => thread.isMine({ author })));
    view.activate(entry);
    this.#focus(entry);
    void view.attempt(async () => {
      thread.take(await calls[isOn ? "unreact" : "react"](entry.conversation, entry.id, emoji));
      view.draw();
    });
  }

  #erase(entry: Entry): void {
    const { calls, view } = this.desk;
    view.activate(null);
    this.#focus(entry);
    void view.attempt(() => calls.remove(entry.conversation, entry.id));
  }

  /** To be edited by Up in the empty box. */
  lastOwn(): Entry | undefined {
    const { thread } = this.desk.view;
    const own = (entry: Entry) => thread.isMine(entry) && entry.kind === "text" && !entry.deleted_at;
    return thread.chunks.flatMap((chunk) => chunk.entries).findLast(own);
  }

  #focus({ seq }: Entry): void {
    this.desk.root.querySelector<HTMLElement>(`#e${seq}`)?.focus({ preventScroll: true });
  }

  walk(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    const entry = target.closest<HTMLElement>(".entry");
    if (!entry) return;
    if (target !== entry) {
      if (event.key === "Escape") entry.focus();
      return;
    }
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(".entry[data-id]")];
      all[all.indexOf(entry) + (event.key === "ArrowUp" ? -1 : 1)]?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      entry.querySelector<HTMLElement>(".toolbar button")?.focus();
    }
  }

  /** By an error's code, in the words of the reader. */
  reason(error: Partial<CommsError> & Partial<Trouble>): string {
    const { t } = this.desk.view;
    const { status, code, errors, isTemporary, values } = error;
    const word = [errors?.[0]?.code, code].find((one) => this.desk.view.has(one));
    if (word) return t(word as Word, values);
    return t(status === 0 ? "unreachable" : code && !isTemporary ? "invalid" : "failed");
  }

  /** Of a conversation. */
  choices(conversation: Conversation): TemplateResult {
    const { calls, view } = this.desk;
    const { t } = view;
    const { muted_until: isMuted, archived_at: isArchived } = conversation.me ?? {};
    const mute = () => view.attempt(async () => view.update(await calls.mute(conversation.id, isMuted ? null : FOREVER)));
    return html`<div class="choices">
      <button type="button" @click=${mute}>${icon(paths.mute)}${t(isMuted ? "unmute" : "mute")}</button>
      <button type="button" @click=${() => view.archive(conversation)}>${icon(paths.archive)}${t(isArchived ? "unarchive" : "archive")}</button>
    </div>`;
  }
}
