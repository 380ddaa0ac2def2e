/** The hours in which a person is left alone by what can wait. */

import { html, nothing, type TemplateResult } from "lit-html";
import type { OwnPreferences } from "../rest.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Period, QuietHours } from "../wire.js";
import type { Desk } from "./preferences.js";

const NIGHT: Period = { start: "22:00", end: "07:00", days: [] };
const MOST = 14;
/** A Monday. */
const DAY_0 = Date.UTC(2024, 0, 1);

export class Quiet {
  #has: QuietHours | null = null;

  constructor(
    private readonly calls: OwnPreferences,
    private readonly desk: Desk,
  ) {}

  async load(): Promise<void> {
    this.#has = await this.calls.quietHours();
  }

  render(): TemplateResult | typeof nothing {
    const { t } = this.desk;
    const has = this.#has;
    if (!has) return nothing;
    return html`<section class="quiet" aria-label=${t("quiet")}><h3>${t("quiet")}</h3>
      <p>${t("waits")}${has.periods.length ? ` ${t("zone", { zone: has.time_zone || "UTC" })}` : ""}</p>
      <ul>${has.periods.map((one, at) => html`<li>${this.#period(has.periods, one, at)}</li>`)}</ul>
      ${has.periods.length < MOST
        ? html`<button type="button" class="more" @click=${() => this.#set([...has.periods, NIGHT])}>${icon(paths.plus)}${t("add")}</button>`
        : nothing}
    </section>`;
  }

  #period(all: Period[], period: Period, at: number): TemplateResult {
    const { t } = this.desk;
    const time = (name: "start" | "end") => html`<input type="time" required aria-label=${t(name)} .value=${period[name].slice(0, 5)}
      @change=${({ target }: Event) => void this.#move(target as HTMLInputElement, name, all, at)}>`;
    return html`${time("start")}<span aria-hidden="true">–</span>${time("end")}
      ${period.days.length ? html`<small>${this.#days(period.days)}</small>` : nothing}
      ${tool(paths.close, t("remove"), () => this.#set(all.toSpliced(at, 1)))}`;
  }

  /** What the service has not taken is not shown as if it had. */
  async #move(input: HTMLInputElement, name: "start" | "end", all: Period[], at: number): Promise<void> {
    const before = all[at];
    if (!input.value || !before) return;
    await this.#set(all.with(at, { ...before, [name]: input.value }));
    if (this.#has?.periods === all) input.value = before[name].slice(0, 5);
  }

  #days(days: number[]): string {
    const name = new Intl.DateTimeFormat(this.desk.locale, { weekday: "short", timeZone: "UTC" });
    return days.map((day) => name.format(DAY_0 + day * 86_400_000)).join(", ");
  }

  /** A person without a time zone is where the browser is. */
  #set(periods: Period[]): Promise<void> {
    const zone = this.#has?.time_zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
    return this.desk.attempt(async () => {
      this.#has = await this.calls.setQuietHours(periods, zone);
    }, true);
  }
}
