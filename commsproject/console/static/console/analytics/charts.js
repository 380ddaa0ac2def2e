// What changes over time, drawn by uPlot. Colours come from the page, so they follow its theme.

import { count, percent } from "./format.js";

/* global uPlot */

export const LINES = [
  { key: "accepted", name: "Accepted", colour: "--analytics-accepted" },
  { key: "sent", name: "Sent", colour: "--analytics-sent" },
  { key: "delivered", name: "Delivered", colour: "--analytics-delivered" },
  { key: "opened", name: "Opened", colour: "--analytics-opened" },
  { key: "failed", name: "Failed", colour: "--analytics-failed" },
];

const charts = new Map();

function colour(name) {
  return getComputedStyle(document.getElementById("analytics")).getPropertyValue(name).trim();
}

function axis(size, values) {
  const line = { stroke: colour("--comms-line"), width: 1 };
  return {
    stroke: colour("--comms-soft"),
    grid: line,
    ticks: { ...line, size: 4 },
    font: "12px system-ui",
    size,
    values,
  };
}

const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

// Days, and hours between them where there is room for those.
function times(_, values, __, ___, step) {
  return values.map((value) => {
    const at = new Date(value * 1000);
    return step >= 86_400 || at.getHours() === 0 ? day.format(at) : hour.format(at);
  });
}

function draw(box, data, series, show, range, beside = 0) {
  charts.get(box)?.destroy();
  box.replaceChildren();
  const told = document.createElement("p");
  told.className = "analytics-told comms-soft";
  const options = {
    width: box.clientWidth,
    height: box.clientHeight - 24,
    padding: [12, 24, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: { x: { range: (_, low, high) => [low - beside, high + beside] }, y: { range } },
    axes: [axis(32, times), axis(56, (_, values) => values.map(show))],
    series: [{}, ...series],
    hooks: {
      setCursor: [
        (chart) => {
          const at = chart.cursor.idx;
          if (at === null || at === undefined) {
            told.textContent = "";
            return;
          }
          const when = new Date(data[0][at] * 1000).toLocaleString(undefined, {
            ...{ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
          });
          const values = series.map((one, place) => (one.show === false ? "" : `${one.label} ${show(data[place + 1][at])}`));
          told.textContent = [when, ...values.filter(Boolean)].join(" · ");
        },
      ],
    },
  };
  charts.set(box, new uPlot(options, data, box));
  box.append(told);
}

const moments = (steps) => steps.map((step) => Date.parse(step.at) / 1000);

export function overTime(box, steps, hidden) {
  const series = LINES.map(({ key, name, colour: variable }) => ({
    label: name,
    show: !hidden.has(key),
    stroke: colour(variable),
    width: 2,
    points: { show: steps.length < 2 },
  }));
  const data = [moments(steps), ...LINES.map(({ key }) => steps.map((step) => step[key]))];
  draw(box, data, series, count, (_, low, high) => [0, Math.max(1, high * 1.08)]);
}

export function onTime(box, steps) {
  const values = steps.map((step) => step.within_10s);
  const known = values.filter((value) => value !== null);
  const low = known.length ? Math.min(...known) : 0;
  const floor = low > 0.995 ? 0.99 : low > 0.95 ? 0.9 : low > 0.6 ? 0.5 : 0;
  const bars = {
    label: "On time",
    stroke: colour("--analytics-delivered"),
    fill: colour("--analytics-delivered-wash"),
    width: 1,
    paths: uPlot.paths.bars({ size: [0.7, 48] }),
    points: { show: false },
  };
  const at = moments(steps);
  const beside = at.length > 1 ? (at[1] - at[0]) / 2 : 43_200;
  draw(box, [at, values], [bars], percent, () => [floor, 1 + (1 - floor) * 0.04], beside);
}

export function resize() {
  for (const [box, chart] of charts) {
    chart.setSize({ width: box.clientWidth, height: box.clientHeight - 24 });
  }
}
