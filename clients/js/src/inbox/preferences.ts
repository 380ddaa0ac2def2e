/** What a person gets by which channel, as far as they may choose. */

import { html, type TemplateResult } from "lit-html";
import type { OwnPreferences } from "../rest.js";
import type { Category, Choice, Preferences } from "../wire.js";
import type { Translate } from "./comms-inbox.js";

const CHANNELS = ["email", "sms", "push", "inapp"] as const;

/** The closest choice counts, of two as close the no; without any, what the category says. */
export function isOn(has: Preferences, category: Category, channel: string): boolean {
  const isOut = has.unsubscribed.some((one) => ["", category.key].includes(one.category) && one.channel === channel);
  if (isOut) return false;
  const chosen = (key: string, by: string) => has.preferences.find((one) => one.category === key && one.channel === by)?.is_on;
  const either = [chosen(category.key, ""), chosen("", channel)].filter((one) => one !== undefined);
  return chosen(category.key, channel) ?? (either.length ? either.every(Boolean) : (chosen("", "") ?? !category.is_opt_in));
}

export class Centre {
  #has: Preferences | null = null;

  constructor(
    private readonly calls: OwnPreferences,
    private readonly t: Translate,
    private readonly changed: () => void,
    private readonly failed: () => void,
  ) {}

  async load(): Promise<void> {
    await this.#try(() => this.calls.get());
  }

  render(): TemplateResult {
    const { t } = this;
    const has = this.#has;
    if (!has) return html`<p class="hint">${t("loading")}</p>`;
    return html`<div class="centre"><p>${t("choose")}</p>
      <table><thead><tr><th scope="col">${t("subject")}</th>${CHANNELS.map((one) => html`<th scope="col">${t(one)}</th>`)}</tr></thead>
      <tbody>${has.categories.map((one) => this.#row(has, one))}</tbody></table></div>`;
  }

  #row(has: Preferences, category: Category): TemplateResult {
    const { t } = this;
    if (!category.is_optional) {
      return html`<tr><th scope="row" dir="auto">${category.name}</th><td colspan=${CHANNELS.length}>${t("always")}</td></tr>`;
    }
    const cell = (channel: (typeof CHANNELS)[number]) => html`<td><input type="checkbox" role="switch"
      aria-label=${t("switch", { subject: category.name, channel: t(channel) })} .checked=${isOn(has, category, channel)}
      @change=${(event: Event) => this.#choose({ category: category.key, channel, is_on: (event.target as HTMLInputElement).checked })}></td>`;
    return html`<tr><th scope="row" dir="auto">${category.name}</th>${CHANNELS.map(cell)}</tr>`;
  }

  #choose(choice: Choice): void {
    void this.#try(() => this.calls.set([choice]));
  }

  async #try(call: () => Promise<Preferences>): Promise<void> {
    try {
      this.#has = await call();
    } catch {
      this.failed();
    }
    this.changed();
  }
}
