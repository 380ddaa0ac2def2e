// Numbers as people read them.

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (value < 100_000 ? whole.format(value) : short.format(value));

export function share(part, total) {
  if (!total) return "–";
  return percent(part / total);
}

export function percent(value) {
  if (value === null || value === undefined) return "–";
  // Never 100 % where one is missing, never 0 % where there is one.
  const digits = value > 0.99 || value < 0.01 ? 2 : 1;
  const shown = value < 1 && value > 0.9999 ? 0.9999 : value > 0 && value < 0.0001 ? 0.0001 : value;
  return new Intl.NumberFormat(undefined, {
    style: "percent",
    maximumFractionDigits: digits,
  }).format(shown);
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.max(1, Math.round(value * 1000))} ms`;
  if (value < 120) return `${value.toFixed(1)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  return `${Math.round(value / 3600)} h`;
}
