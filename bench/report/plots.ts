import { type Figure, isNoisy } from "../figure.ts";
import { amount } from "../numbers.ts";
import type { Result } from "../result.ts";

const WIDTH = 900;
const LABEL_WIDTH = 330;
const VALUE_WIDTH = 110;
const LINE = 22;
const TOP = 58;
// The largest ratio of two values for a linear scale. Beyond it the scale is logarithmic, because small bars
// would be invisible.
const LINEAR_UP_TO = 30;
const STYLE =
  "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.small{font-size:11px;fill:#57606a}";

/** Draws an SVG for each row of the table, by file name: bars, with the quartiles as whiskers. */
export function plotsOf(result: Result): [name: string, svg: string][] {
  return Object.entries(result.titles).flatMap(([row, title]): [string, string][] => {
    const figures = result.figures.filter(
      (figure) => figure.row === row && figure.median > 0 && figure.unit !== "×" && figure.metric !== "p99",
    );
    if (figures.length === 0) return [];
    const { date, processor } = result.machine;
    return [[`${row}.svg`, drawing(`${row}: ${title}`, `${date}, ${processor}`, figures)]];
  });
}

function drawing(title: string, subtitle: string, figures: readonly Figure[]): string {
  const height = TOP + figures.length * LINE + 14;
  const scale = scaleOf(figures);
  const bars = figures.map((figure, index) => bar(figure, TOP + index * LINE, scale.at)).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}</style><rect width="${WIDTH}" height="${height}" fill="#fff"/>
<text class="title" x="16" y="24">${escaped(title)}</text>
<text class="small" x="16" y="42">${escaped(subtitle)}${scale.isLogarithmic ? "; logarithmic" : ""}</text>
${bars}</svg>
`;
}

type At = (value: number) => number;

function scaleOf(figures: readonly Figure[]): { readonly at: At; readonly isLogarithmic: boolean } {
  const most = Math.max(...figures.map(({ high }) => high));
  const least = Math.min(...figures.map(({ median }) => median));
  const width = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const isLogarithmic = most / least > LINEAR_UP_TO;
  // The scale begins at half of the smallest value, because a logarithm has no zero and the smallest bar must
  // be visible.
  const from = least / 2;
  const part: At = isLogarithmic
    ? (value) => Math.log(Math.max(value, from) / from) / Math.log(most / from)
    : (value) => value / most;
  return { at: (value) => LABEL_WIDTH + part(value) * width, isLogarithmic };
}

function bar(figure: Figure, top: number, at: At): string {
  const { subject, metric, low, high, median } = figure;
  const middle = top + LINE / 2;
  const isFloor = figure.ratio === null || subject.startsWith("fork");
  const colour = isFloor ? "#afb8c1" : isNoisy(figure) ? "#d4a72c" : "#218bff";
  const [x, left, right] = [at(median), at(low), at(high)].map((value) => value.toFixed(1));
  return `<text x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end">${escaped(`${subject} ${metric}`)}</text>
<rect x="${LABEL_WIDTH}" y="${top + 3}" width="${(Number(x) - LABEL_WIDTH).toFixed(1)}" height="${LINE - 6}" fill="${colour}"/>
<path d="M${left} ${middle}H${right}" stroke="#24292f"/>
<text class="small" x="${Math.max(Number(x), Number(right)) + 6}" y="${middle + 4}">${escaped(amount(figure))}</text>
`;
}

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
