
// How everything looks: elements, colours, figures, and the change between light and dark.

// Colours that people with any vision tell apart come first (Okabe and Ito); more follow for many levels.
const PALETTE = [
  "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f7a00", "#5b5fc7", "#7a7a7a", "#a6761d",
  "#1b9e77", "#b2abd2", "#66a61e", "#e7298a", "#3b6fb6", "#f28e8e", "#00798c", "#b07aa1", "#9c755f", "#2f4b7c",
];
const LOW_TO_HIGH = [[0, "#440154"], [0.25, "#3b528b"], [0.5, "#21918c"], [0.75, "#5ec962"], [1, "#fde725"]];

/** An element with attributes and children; texts are texts, never HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A labelled choice; `options` are [value, words]. */
function choice(words, options, change, chosen) {
  const select = make("select", { onchange: () => change(select.value) });
  for (const [value, name] of options) select.append(make("option", { value, selected: value === chosen }, short(name, 60)));
  return [make("label", {}, words, select), select];
}

/** A text of at most so many letters. */
function short(text, most = 40) {
  const letters = [...String(text)];
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : letters.join("");
}

/** A text for figures, whose library reads some HTML: here it reads none. */
function plain(text, most = 40) {
  return short(text, most).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");
}

/** A number as people read it. */
function words(x) {
  if (x == null || Number.isNaN(x)) return "";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  if (x !== 0 && (size < 1e-3 || size >= 1e7)) return x.toExponential(2);
  return Number.isInteger(x) ? x.toLocaleString("en") : String(Number(x.toPrecision(4)));
}

/** A number that is given by its logarithm. */
function power(log10) {
  if (Number.isNaN(log10)) return "";
  if (log10 === -Infinity) return "0";
  if (log10 > -3) return String(Number((10 ** log10).toPrecision(3)));
  const exponent = Math.floor(log10);
  const digits = (10 ** (log10 - exponent)).toFixed(2);
  return digits === "10.00" ? `1.00e${exponent + 1}` : `${digits}e${exponent}`;
}

const figures = new Map();

function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** What all figures share, in the colours of the hour. */
function looks(layout) {
  const axis = (own = {}) => ({
    gridcolor: style("--grid"), zerolinecolor: style("--faint"), linecolor: style("--faint"), automargin: true, ...own,
  });
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: style("--ink"), size: 12 },
    margin: { l: 50, r: 20, t: 20, b: 45 }, hoverlabel: { align: "left" }, autosize: true, dragmode: "pan",
    ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
  };
}

/** Draws a figure; `draw` gives traces and layout, and is asked again when light turns dark. */
async function figure(host, draw) {
  if (typeof Plotly === "undefined") {
    host.replaceChildren(make("p", { class: "notice" }, "This page was made without figures; its tables are complete."));
    return;
  }
  const turn = (figures.get(host)?.turn ?? 0) + 1;
  figures.set(host, { draw, turn });
  const { traces, layout } = await draw();
  // Another choice may have been made while data were unpacked.
  if (figures.get(host).turn !== turn) return;
  const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["autoScale2d"] };
  await Plotly.react(host, traces, looks(layout), settings);
}

function wearTheme(name) {
  document.documentElement.dataset.theme = name;
  const other = name === "dark" ? "light" : "dark";
  const button = document.getElementById("theme");
  button.textContent = name === "dark" ? "☀ Light" : "☾ Dark";
  button.setAttribute("aria-label", `Change to ${other} colours`);
  button.onclick = () => { keep(other); wearTheme(other); };
  for (const [host, { draw }] of figures) figure(host, draw);
}

function keep(name) {
  try { localStorage.setItem("ferrocyte-theme", name); } catch { /* pages from a disk may have no store */ }
}

function firstTheme() {
  let kept = null;
  try { kept = localStorage.getItem("ferrocyte-theme"); } catch { /* likewise */ }
  return kept ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}
