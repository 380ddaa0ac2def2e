// Everything but the charts over time. Text goes in as text: names are other people's words.

import { count, percent, seconds, share } from "./format.js";

export function element(name, className = "", ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function bar(part, tone) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "comms-bar-track");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(svg.namespaceURI, "rect");
  rect.setAttribute("class", `comms-fill-${tone}`);
  rect.setAttribute("width", `${Math.max(0, Math.min(1, part)) * 100}%`);
  rect.setAttribute("height", "100%");
  rect.setAttribute("rx", "4");
  svg.append(rect);
  return svg;
}

// --- Headline numbers

export function tiles({ summary, before }) {
  const rate = (of, part, total) => (of[total] ? of[part] / of[total] : null);
  const facts = [
    ["On time", (one) => one.handed.within_10s, percent, "with a provider within 10 s", true],
    ["Accepted", (one) => one.accepted, count, "messages", null],
    ["Delivered", (one) => rate(one, "delivered", "sent"), percent, "of those sent", true],
    ["Failed", (one) => (one.accepted ? one.failed.total / one.accepted : null), percent, "of those accepted", false],
    ["Bounced", (one) => rate(one, "bounced", "sent"), percent, "of those sent", false],
    ["Hand-over", (one) => one.handed.p95, seconds, "for 95 % of messages", false],
  ];
  return facts.map(([name, of, show, note, risesAreGood]) => {
    const tile = element("div", "comms-tile");
    tile.append(
      element("span", "comms-tile-name", name),
      element("span", "comms-tile-number", show(of(summary))),
      element("span", "comms-soft", note),
      change(of(summary), of(before), show === percent, risesAreGood),
    );
    return tile;
  });
}

function change(now, before, isShare, risesAreGood) {
  if (now === null || before === null || (!isShare && !before)) {
    return element("span", "analytics-change", "no figures before");
  }
  const by = isShare ? now - before : now / before - 1;
  const small = Math.abs(by) < (isShare ? 0.0005 : 0.03);
  const tone = small || risesAreGood === null ? "" : by > 0 === risesAreGood ? " analytics-better" : " analytics-worse";
  const amount = `${Math.abs(by * 100).toFixed(isShare ? 2 : 0)} ${isShare ? "points" : "%"}`;
  const text = small ? "as in the time before" : `${by > 0 ? "▲" : "▼"} ${amount} on the time before`;
  return element("span", `analytics-change${tone}`, text);
}

// --- Funnel, losses

function bars(rows, total) {
  const list = element("ul", "comms-bars");
  for (const [name, value, tone, note] of rows) {
    list.append(
      element(
        "li",
        "",
        element("span", "", name),
        bar(total ? value / total : 0, tone),
        element("strong", "", count(value), element("span", "comms-soft", ` ${note}`)),
      ),
    );
  }
  return list;
}

export function funnel({ summary }) {
  const steps = [
    ["Accepted", summary.accepted, "quiet"],
    ["Sent", summary.sent, "busy"],
    ["Delivered", summary.delivered, "good"],
    ["Opened", summary.opened, "good"],
    ["Clicked", summary.clicked, "good"],
  ];
  const total = Math.max(...steps.map(([, value]) => value));
  return bars(steps.map(([name, value, tone]) => [name, value, tone, share(value, summary.accepted)]), total);
}

const REASONS = {
  permanent_recipient: "Recipient cannot be reached",
  permanent_message: "Message refused",
  auth_config: "Credentials",
  throttled: "Throttled",
  temporary: "Provider in trouble",
  ambiguous: "No clear answer",
  other: "Could not be sent",
};

export function losses({ summary }) {
  const rows = [
    ...Object.entries(REASONS).map(([key, name]) => [name, summary.failed[key], "bad"]),
    ["Bounced", summary.bounced, "bad"],
    ["Marked as spam", summary.complained, "bad"],
    ["Suppressed", summary.suppressed, "warn"],
    ["Expired", summary.expired, "warn"],
    ["Cancelled", summary.cancelled, "quiet"],
    ["Never confirmed", summary.unconfirmed, "warn"],
  ].filter(([, value]) => value);
  if (!rows.length) return element("p", "comms-empty", "Nothing was lost.");
  rows.sort((a, b) => b[1] - a[1]);
  return bars(rows.map(([name, value, tone]) => [name, value, tone, share(value, summary.accepted)]), rows[0][1]);
}

// --- Tables

function table(heads, rows, nothing) {
  if (!rows.length) return element("p", "comms-empty", nothing);
  const head = element("tr", "", ...heads.map((name) => element("th", "", name)));
  const lines = rows.map((cells) => element("tr", "", ...cells.map((cell) => element("td", "", cell))));
  return element("table", "analytics-table", element("thead", "", head), element("tbody", "", ...lines));
}

export function providers({ providers: found }) {
  const most = Math.max(1, ...found.map((one) => one.figures.sent));
  return table(
    ["Provider", "Sent", "", "Delivered", "Calls failed", "Bounced", "Half within", "95 % within"],
    found.map(({ name, figures }) => [
      name,
      count(figures.sent),
      bar(figures.sent / most, "busy"),
      share(figures.delivered, figures.sent),
      share(figures.calls_failed, figures.calls),
      share(figures.bounced, figures.sent),
      seconds(figures.handed.p50),
      seconds(figures.handed.p95),
    ]),
    "No provider was called.",
  );
}

export function templates({ templates: found }) {
  return table(
    ["Template", "Sent", "Delivered", "Opened", "Clicked"],
    found.map(({ name, figures }) => [
      name || "Without a template",
      count(figures.sent),
      share(figures.delivered, figures.sent),
      share(figures.opened, figures.delivered),
      share(figures.clicked, figures.delivered),
    ]),
    "Nothing was sent.",
  );
}

// --- Weekdays and hours

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

export function week({ week: grid }) {
  const most = Math.max(1, ...grid.flat());
  const table = element("table", "analytics-week");
  const hours = [...Array(24).keys()];
  const head = hours.map((hour) => element("th", "", hour % 6 ? "" : `${hour}`.padStart(2, "0")));
  table.append(element("thead", "", element("tr", "", element("th"), ...head)));
  const body = element("tbody");
  grid.forEach((counts, day) => {
    const cells = counts.map((value, hour) => {
      const cell = element("td");
      const said = `${DAYS[day]} ${`${hour}`.padStart(2, "0")}:00: ${count(value)} sent`;
      cell.title = said;
      cell.setAttribute("aria-label", said);
      cell.style.setProperty("--part", value ? 0.12 + 0.88 * (value / most) : 0);
      return cell;
    });
    body.append(element("tr", "", element("th", "", DAYS[day]), ...cells));
  });
  table.append(body);
  return table;
}
