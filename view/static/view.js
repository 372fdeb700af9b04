// Keys, live refresh, and the choice between dark and light. Pages work without any of it.

const EVERY = 2000; // Milliseconds between two looks at what goes on.
const SLOWEST = 30000; // Between two attempts while the viewer does not answer.

const main = document.getElementById("main");
const status = document.getElementById("live");

// ---- Dark and light

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("burnish-theme", root.dataset.theme);
  } catch {
    // It holds until the page is left.
  }
}
document.getElementById("theme").addEventListener("click", toggleTheme);

// ---- Keys

const keys = document.getElementById("keys");
document.getElementById("help").addEventListener("click", () => keys.showModal());

let at = -1; // Which row is marked.
let first = null; // The run that `d` marked.
let leading = false; // Whether `g` was the last key.

const rows = () => [...main.querySelectorAll("tr[data-row]")];

function mark(number, move = true) {
  const all = rows();
  all.forEach((row) => row.classList.remove("here"));
  if (!all.length || number < 0) return;
  at = Math.min(number, all.length - 1);
  all[at].classList.add("here");
  const link = all[at].querySelector("a");
  if (move && link) link.focus({ preventScroll: true });
  if (move) all[at].scrollIntoView({ block: "nearest" });
}

function compare() {
  const run = rows()[at]?.dataset.run;
  if (!run) return;
  if (first && first !== run) {
    location.assign(`/diff?a=${first}&b=${run}`);
    return;
  }
  first = first === run ? null : run;
  showMarked();
}

function showMarked() {
  for (const row of rows()) row.classList.toggle("marked", row.dataset.run !== undefined && row.dataset.run === first);
}

function follow(selector) {
  const link = document.querySelector(selector);
  if (link) location.assign(link.href);
}

const actions = {
  j: () => mark(at + 1),
  k: () => mark(Math.max(at - 1, 0)),
  Enter: () => rows()[at]?.querySelector("a")?.click(),
  d: compare,
  "[": () => follow("a[data-before]"),
  "]": () => follow("a[data-behind]"),
  u: () => follow("a[data-up]"),
  t: toggleTheme,
  "/": () => document.querySelector(".search input").focus(),
  "?": () => keys.showModal(),
};
const led = { r: () => location.assign("/"), b: () => location.assign("/batches") };

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (target.matches("input, select, textarea")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  const action = leading ? led[event.key] : actions[event.key];
  leading = !leading && event.key === "g";
  // A link or button that has the focus opens itself.
  if (!action || (event.key === "Enter" && target.matches("a, button, summary"))) return;
  event.preventDefault();
  action();
});

// ---- Live refresh: what changes is asked for anew while something goes on and the page can be seen.

let wait = EVERY;
let last = null;
let timer = 0;

function plan() {
  clearTimeout(timer);
  if (main.dataset.live === "1" && !document.hidden) timer = setTimeout(refresh, wait);
}

async function refresh() {
  if (busy()) return plan();
  const begun = performance.now();
  try {
    const answer = await fetch(main.dataset.part, { headers: { accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const text = await answer.text();
    main.dataset.live = answer.headers.get("x-live") ?? "0";
    if (text !== last && !busy()) {
      replace(text);
      last = text;
    }
    wait = Math.max(EVERY, 4 * (performance.now() - begun)); // What takes long is asked for less often.
    tell(main.dataset.live === "1" ? "live" : "");
  } catch {
    wait = Math.min(wait * 2, SLOWEST);
    tell("the viewer does not answer");
  }
  plan();
}

// Whether somebody types or selects here; a refresh would take that away.
function busy() {
  const typing = main.contains(document.activeElement) && document.activeElement.matches("input, select");
  const selection = getSelection();
  return typing || (selection && !selection.isCollapsed && main.contains(selection.anchorNode));
}

function replace(text) {
  const open = [...main.querySelectorAll("details")].map((each) => each.open);
  const scrolled = [...main.querySelectorAll(".drawing-box, pre.text")].map((each) => [each.scrollLeft, each.scrollTop]);
  const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  main.innerHTML = text; // Made by the server, which escapes all that it did not write itself.
  main.querySelectorAll("details").forEach((each, n) => { if (n in open) each.open = open[n]; });
  main.querySelectorAll(".drawing-box, pre.text").forEach((each, n) => { if (n in scrolled) [each.scrollLeft, each.scrollTop] = scrolled[n]; });
  mark(at, false);
  showMarked();
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function tell(words) {
  status.textContent = words;
  status.hidden = !words;
}

document.addEventListener("visibilitychange", plan);
if (main.dataset.live === "1") tell("live");
plan();
