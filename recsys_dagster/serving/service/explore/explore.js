// The explore page: asks the service it comes from, and nothing else.
"use strict";

const byId = (id) => document.getElementById(id);
const state = { domains: [], domain: null, liked: new Map(), tastes: new Map(), changed: [], published: null, user: null, diversity: null, asked: 0, listed: 0 };
const LISTED = 20;
const POLL_MS = 5000;

async function ask(path, body) {
  const request = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(`v1/${path}`, request);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

function show(message) {
  byId("problem").textContent = message;
  byId("problem").hidden = !message;
}

// Runs a reaction to what the person did; only the newest one of a kind may change the page.
function react(reaction) {
  return async (event) => {
    if (event && event.preventDefault) event.preventDefault();
    try { show(""); await reaction(event); } catch (error) { show(error.message); }
  };
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function about(item) {
  const parts = [item.kind, item.year, (item.genres || []).join(", "), predicted(item)];
  if (item.title_english && item.title_english !== item.title) parts.unshift(item.title_english);
  return parts.filter(Boolean).join(" · ");
}

function entry(item, number, onChoose) {
  const line = element("li");
  if (item.image_url && /^https?:/.test(item.image_url) && byId("domain").dataset.pictures === "yes") {
    const picture = element("img");
    Object.assign(picture, { src: item.image_url, alt: "", loading: "lazy", width: 48, height: 68, referrerPolicy: "no-referrer" });
    line.classList.add("pictured");
    line.append(picture);
  }
  const title = element(onChoose ? "button" : "span", "title", item.title);
  if (onChoose) title.addEventListener("click", react(() => onChoose(item)));
  line.append(title, element("span", "number", number));
  line.append(element("span", "about", about(item)));
  if (item.because && item.because.length) line.append(element("span", "because", item.because.map((one) => one.title).join(", ")));
  return line;
}

const predicted = (item) => (item.rating_low === undefined ? "" : `★ ${item.rating.toFixed(1)} (${item.rating_low.toFixed(1)} – ${item.rating_high.toFixed(1)})`);

const score = (value) => (value === undefined ? "" : Number(value).toPrecision(3));

function fill(id, items, number, onChoose) {
  byId(id).replaceChildren(...items.map((item, place) => entry(item, number(item, place), onChoose)));
}

function markShared() {
  const titles = (id) => [...byId(id).children].map((line) => line.querySelector(".title").textContent);
  const shared = new Set(titles("published").filter((title) => titles("live").includes(title)));
  for (const id of ["published", "live"])
    for (const line of byId(id).children) line.classList.toggle("shared", shared.has(line.querySelector(".title").textContent));
}

// -- a user

async function showUser(user) {
  byId("user").value = user;
  const { history } = await ask(`${userPath(user)}/history?n=${LISTED}`);
  Object.assign(state, { user, history });
  fill("history", history, (item) => (item.rating === null ? "" : `rated ${item.rating}`));
  await showLists();
}

const userPath = (user) => `${state.domain}/users/${encodeURIComponent(user)}`;

// The published list and that of the other model, which are the newest that were asked for.
async function showLists() {
  if (state.user === null) return;
  const number = (state.listed += 1);
  const balance = state.diversity === null ? "" : `&diversity=${state.diversity}`;
  const [list, other] = await Promise.all([
    ask(`${userPath(state.user)}/recommendations?n=${LISTED}&include_adult=true${balance}`),
    askOther(),
  ]);
  if (number !== state.listed) return;
  byId("champion").textContent = list.fallback ? "unknown user: popular items" : `by ${list.model}`;
  fill("published", list.recommendations, (item) => score(item.score));
  fill("live", other.recommendations, (item) => score(item.score));
  markShared();
}

function askOther() {
  if (!state.history.length || !byId("other").value) return { recommendations: [] };
  const history = state.history.map((item) => ({ item: item.item_id, rating: item.rating }));
  return ask(`${state.domain}/recommendations`, { history, model: byId("other").value, n: LISTED, include_adult: true, diversity: state.diversity });
}

async function showSomeone(like, among) {
  const { users } = await ask(`${state.domain}/users?like=${like}&n=${among}`);
  if (users.length) await showUser(users[Math.floor(Math.random() * users.length)].user_id);
}

// -- a new user

async function search(query, id, onChoose) {
  if (query.trim().length < 2) { byId(id).replaceChildren(); return; }
  const { items } = await ask(`${state.domain}/items?query=${encodeURIComponent(query)}`);
  fill(id, items, () => "", onChoose);
}

function showLiked() {
  fill("liked", [...state.liked.values()], () => "✕", (item) => { state.liked.delete(item.item_id); return showLiked(); });
  return recommend();
}

async function recommend() {
  const number = (state.asked += 1);
  const scale = current().scale;
  const history = [...state.liked.keys()].map((item) => ({ item, rating: scale ? scale[1] : null }));
  const described = history.length ? { history } : { tastes: Object.fromEntries(state.tastes) };
  if (!history.length && !state.tastes.size) { byId("recommended").replaceChildren(); byId("new-model").textContent = ""; return; }
  const list = await ask(`${state.domain}/recommendations`, { ...described, n: LISTED, diversity: state.diversity });
  if (number !== state.asked) return;
  byId("new-model").textContent = `by ${list.model}`;
  fill("recommended", list.recommendations, (item) => score(item.score));
}

function slider(genre) {
  const [low, high] = current().scale || [0, 1];
  const line = element("label", "slider");
  const input = element("input");
  Object.assign(input, { type: "range", min: low, max: high, step: (high - low) / 8, value: (low + high) / 2 });
  const value = element("output", "number", "–");
  input.addEventListener("input", react(() => {
    state.tastes.set(genre, Number(input.value));
    value.textContent = Number(input.value).toPrecision(2);
    state.liked.clear();
    byId("liked").replaceChildren();
    return recommend();
  }));
  line.append(element("span", "", genre), input, value);
  return line;
}

// -- diversity, of all lists of the page; null: as the rules of the domain say

function showDiversity() {
  for (const box of document.querySelectorAll(".diversity")) {
    const [input, output, button] = ["input", "output", "button"].map((name) => box.querySelector(name));
    input.value = state.diversity || 0;
    output.textContent = state.diversity === null ? "" : Number(state.diversity).toFixed(1);
    input.setAttribute("aria-valuetext", output.textContent || button.textContent);
    button.disabled = state.diversity === null;
    box.hidden = !current().genres.length;
  }
}

function listenToDiversity() {
  const choose = (value) => {
    state.diversity = value;
    showDiversity();
    return Promise.all([showLists(), recommend()]);
  };
  for (const box of document.querySelectorAll(".diversity")) {
    box.querySelector("input").addEventListener("input", react((event) => choose(Number(event.target.value))));
    box.querySelector("button").addEventListener("click", react(() => choose(null)));
  }
}

// -- an item

async function showSimilar(item) {
  byId("similar-to").textContent = `to ${item.title}`;
  const { items } = await ask(`${state.domain}/items/${encodeURIComponent(item.item_id)}/similar?n=${LISTED}`);
  fill("similar", items, (one) => score(one.score), showSimilar);
}

// -- the last two publications

const when = (origin) => new Date(origin.published_at).toLocaleString();

async function showChanges() {
  const changes = await ask(`${state.domain}/changes`);
  if (!changes.before) {
    byId("changed").textContent = "The publication before this one is not kept, so there is nothing to compare.";
    for (const id of ["list-before", "list-now"]) byId(id).replaceChildren();
    for (const id of ["before-origin", "now-origin", "changed-place"]) byId(id).textContent = "";
    state.changed = [];
    return;
  }
  const kept = changes.kept === null ? "No user was known before." : `Of the first ten items of a list, ${(100 * changes.kept).toFixed(0)}\u00a0% were listed before.`;
  byId("changed").textContent = `${when(changes.before)} by ${changes.before.model}, then ${when(changes.now)} by ${changes.now.model}. ${kept}`;
  state.changed = changes.users;
  const shown = byId("changed-user").value;
  if (shown) await showChange(shown);
  else await stepChanged(0);
}

function stepChanged(step) {
  if (!state.changed.length) return undefined;
  const place = state.changed.findIndex((one) => String(one.user_id) === byId("changed-user").value);
  const next = place < 0 ? 0 : (place + step + state.changed.length) % state.changed.length;
  return showChange(state.changed[next].user_id);
}

async function showChange(user) {
  byId("changed-user").value = user;
  const lists = await ask(`${state.domain}/users/${encodeURIComponent(user)}/changes?n=${LISTED}`);
  const place = state.changed.findIndex((one) => String(one.user_id) === String(lists.user_id));
  byId("changed-place").textContent = place < 0 ? "" : `${place + 1} of ${state.changed.length}`;
  byId("before-origin").textContent = `by ${lists.before.model}`;
  byId("now-origin").textContent = `by ${lists.now.model}`;
  const before = new Map(lists.before.recommendations.map((item, rank) => [String(item.item_id), rank]));
  const now = new Map(lists.recommendations.map((item, rank) => [String(item.item_id), rank]));
  fill("list-before", lists.before.recommendations, (item) => (now.has(String(item.item_id)) ? "" : "gone"));
  fill("list-now", lists.recommendations, (item, rank) => {
    if (!before.has(String(item.item_id))) return "new";
    const moved = before.get(String(item.item_id)) - rank;
    return moved === 0 ? "" : moved > 0 ? `▲ ${moved}` : `▼ ${-moved}`;
  });
  if (!lists.before.recommendations.length) byId("list-before").replaceChildren(element("li", "about", "not known before, or without a list"));
}

// -- the leaderboard

async function showBoard() {
  const board = await ask(`${state.domain}/leaderboard`);
  const shown = [["ndcg", 10], ["recall", 10], ["coverage", 10], ["rmse", null]];
  const rows = new Map();
  for (const row of board.metrics) {
    if (row.fold !== "test" || row.protocol !== "holdout") continue;
    if (!rows.has(row.model)) rows.set(row.model, new Map());
    rows.get(row.model).set(`${row.metric}@${row.k}`, row);
  }
  const head = element("tr");
  head.append(element("th", "", "model"), ...shown.map(([metric, k]) => element("th", "", k ? `${metric.toUpperCase()}@${k}` : metric.toUpperCase())));
  const value = (row) => (row && row.value !== null ? row.value : -1);
  const sorted = [...rows].sort((a, b) => value(b[1].get("ndcg@10")) - value(a[1].get("ndcg@10")));
  const lines = sorted.map(([model, metrics]) => {
    const line = element("tr", model === board.champion ? "champion" : "");
    line.append(element("td", "", model === board.champion ? `${model} (champion)` : model));
    for (const [metric, k] of shown) {
      const row = metrics.get(`${metric}@${k}`);
      const known = row && row.value !== null;
      const interval = known && row.low !== null ? ` (${row.low.toFixed(3)}–${row.high.toFixed(3)})` : "";
      line.append(element("td", "", known ? row.value.toFixed(3) + interval : "–"));
    }
    return line;
  });
  byId("board").replaceChildren(head, ...lines);
  byId("verdict").textContent = `Test fold, with 95 % intervals. The champion was chosen on validation.`;
}

// -- the page

const current = () => state.domains.find((one) => one.domain === state.domain);

function describe(domain) {
  const when = new Date(domain.published_at).toLocaleString();
  byId("origin").textContent = `${domain.model} on ${domain.dataset}, published ${when}: ${domain.users.toLocaleString()} users, ${domain.items.toLocaleString()} items`;
}

async function chooseDomain(name) {
  state.domain = name;
  state.liked.clear();
  state.tastes.clear();
  byId("changed-user").value = "";
  for (const id of ["history", "published", "live", "liked", "liked-found", "recommended", "found", "similar"]) byId(id).replaceChildren();
  const domain = current();
  state.published = domain.published_at;
  Object.assign(state, { user: null, diversity: null });
  showDiversity();
  describe(domain);
  byId("other").replaceChildren(...domain.live_models.map((model) => element("option", "", model)));
  byId("other").value = domain.live_models.find((model) => model !== domain.model) || domain.live_models[0];
  byId("genres").replaceChildren(...domain.genres.map(slider));
  await Promise.all([showSomeone("heavy", 1), showBoard(), showChanges()]);
}

// A new publication is shown by itself; what the person typed stays.
async function follow() {
  try {
    state.domains = (await ask("domains")).domains;
    const domain = current();
    if (domain && domain.published_at !== state.published) {
      state.published = domain.published_at;
      describe(domain);
      if (byId("user").value) await showUser(byId("user").value);
      await Promise.all([showBoard(), showChanges()]);
    }
  } catch { /* the service restarts; the next look finds it again */ }
}

function chooseTab(tab) {
  for (const other of document.querySelectorAll("[role=tab]")) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    byId(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  tab.focus();
}

function listen() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const [place, tab] of tabs.entries()) {
    tab.addEventListener("click", () => chooseTab(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) chooseTab(tabs[(place + step + tabs.length) % tabs.length]);
    });
  }
  byId("domain").addEventListener("change", react(() => chooseDomain(byId("domain").value)));
  byId("find-user").addEventListener("submit", react(() => showUser(byId("user").value.trim())));
  for (const button of document.querySelectorAll("[data-like]")) button.addEventListener("click", react(() => showSomeone(button.dataset.like, 50)));
  byId("other").addEventListener("change", react(showLists));
  listenToDiversity();
  byId("find-changed").addEventListener("submit", react(() => showChange(byId("changed-user").value.trim())));
  byId("changed-before").addEventListener("click", react(() => stepChanged(-1)));
  byId("changed-next").addEventListener("click", react(() => stepChanged(1)));
  byId("liked-query").addEventListener("input", react(() => search(byId("liked-query").value, "liked-found", (item) => {
    state.liked.set(item.item_id, item);
    byId("liked-query").value = "";
    byId("liked-found").replaceChildren();
    return showLiked();
  })));
  byId("item-query").addEventListener("input", react(() => search(byId("item-query").value, "found", showSimilar)));
  for (const id of ["find-liked", "find-item"]) byId(id).addEventListener("submit", (event) => event.preventDefault());
}

async function start() {
  listen();
  state.domains = (await ask("domains")).domains;
  if (!state.domains.length) throw new Error("nothing is published yet; run `recsys run`");
  byId("domain").replaceChildren(...state.domains.map((one) => element("option", "", one.domain)));
  await chooseDomain(state.domains[0].domain);
  setInterval(follow, POLL_MS);
}

react(start)();
