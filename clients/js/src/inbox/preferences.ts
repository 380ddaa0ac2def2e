/** What a person gets by which channel, as far as they may choose. */

import { html, type TemplateResult } from "lit-html";
import type { OwnPreferences } from "../rest.js";
import type { Category, Choice, Preferences } from "../wire.js";
import type { Translate } from "./comms-inbox.js";
import { Quiet } from "./quiet.js";

const CHANNELS = ["email", "sms", "push", "inapp"] as const;

/** The closest choice counts, of two as close the no; without any, what the category says. */
export function isOn(has: Preferences, category: Category, channel: string): boolean {
  const isOut = has.unsubscribed.some((one) => ["", category.key].includes(one.category) && one.channel === channel);
  if (isOut) return false;
  const chosen = (key: string, by: string) => has.preferences.find((one) => one.category === key && one.channel === by)?.is_on;
  const either = [chosen(category.key, ""), chosen("", channel)].filter((one) => one !== undefined);
  return chosen(category.key, channel) ?? (either.length ? either.every(Boolean) : (chosen("", "") ?? !category.is_opt_in));
}

/** What is needed of the widget. */
export interface Desk {
  t: Translate;
  locale: string;
  /** What fails is told to the person, of a change also without a line; what has changed is drawn. */
  attempt(action: () => Promise<unknown>, isChange?: boolean): Promise<void>;
}

export class Centre {
  #has: Preferences | null = null;
  readonly #quiet: Quiet;

  constructor(
    private readonly calls: OwnPreferences,
    private readonly desk: Desk,
  ) {
    this.#quiet = new Quiet(calls, desk);
  }

  load(): Promise<void> {
    return this.desk.attempt(() => Promise.all([this.#take(this.calls.get()), this.#quiet.load()]));
  }

  render(): TemplateResult {
    const { t } = this.desk;
    const has = this.#has;
    if (!has) return html`<p class="hint">${t("loading")}</p>`;
    return html`<div class="centre"><p>${t("choose")}</p>
      <table><thead><tr><th scope="col">${t("subject")}</th>${CHANNELS.map((one) => html`<th scope="col">${t(one)}</th>`)}</tr></thead>
      <tbody>${has.categories.map((one) => this.#row(has, one))}</tbody></table>${this.#quiet.render()}</div>`;
  }

  #row(has: Preferences, category: Category): TemplateResult {
    const { t } = this.desk;
    if (!category.is_optional) {
      return html`<tr><th scope="row" dir="auto">${category.name}</th><td colspan=${CHANNELS.length}>${t("always")}</td></tr>`;
    }
    const cell = (channel: (typeof CHANNELS)[number]) => html`<td><input type="checkbox" role="switch"
      aria-label=${t("switch", { subject: category.name, channel: t(channel) })} .checked=${isOn(has, category, channel)}
      @change=${({ target }: Event) => this.#choose(target as HTMLInputElement, category, channel)}></td>`;
    return html`<tr><th scope="row" dir="auto">${category.name}</th>${CHANNELS.map(cell)}</tr>`;
  }

  /** Afterwards the switch shows what the service has, whether it has taken the choice or not. */
  async #choose(input: HTMLInputElement, category: Category, channel: string): Promise<void> {
    const choice: Choice = { category: category.key, channel, is_on: input.checked };
    await this.desk.attempt(() => this.#take(this.calls.set([choice])), true);
    if (this.#has) input.checked = isOn(this.#has, category, channel);
  }

  async #take(now: Promise<Preferences>): Promise<void> {
    this.#has = await now;
  }
}
