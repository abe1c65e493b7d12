// Texts come in by textContent only: names of files and categories may contain anything.

const FLOOR = 0.05; // asked of the server; the slider hides what is below it
const REACH_PX = 24; // the nearest landmark within this distance is named
const MASK_SIDE_PX = 1200;
const MASK_ALPHA = 90;

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function svgElement(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

// Ask the server; wait while it is busy. Returns the response, or throws with the server's words.
export async function ask(path, { token = byId("token").value.trim(), ...options } = {}, onBusy = () => {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  for (;;) {
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch {
      throw new Error("the server does not answer");
    }
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({ error: response.statusText }));
    const seconds = Number(response.headers.get("Retry-After"));
    if (response.status !== 503 || !seconds) throw new Error(error);
    onBusy(error);
    await pause(seconds);
  }
}

export function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

export function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function table(caption, columns, rows) {
  const head = element("tr");
  for (const { title, text } of columns)
    head.append(element("th", { scope: "col", textContent: title, className: text ? "text" : "" }));
  const body = element("tbody");
  for (const values of rows) {
    const row = element("tr");
    values.forEach((value, place) =>
      row.append(element("td", { className: columns[place].text ? "text" : "" }, value)),
    );
    body.append(row);
  }
  const made = element("table", {}, element("caption", { textContent: caption }), element("thead", {}, head), body);
  return element("div", { className: "scroll" }, made);
}

// ---- Tabs

function showPanel(name) {
  for (const button of byId("tabs").children) {
    byId(button.dataset.panel).hidden = button.dataset.panel !== name;
    if (button.dataset.panel === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
}

function startTabs(sections) {
  const names = Object.keys(sections);
  for (const button of byId("tabs").children) {
    button.hidden = !names.includes(button.dataset.panel);
    button.addEventListener("click", () => showPanel(button.dataset.panel));
  }
  byId("tabs").hidden = names.length < 2;
  showPanel(names[0]);
}

// ---- Try: the photos and their state

const photos = []; // {file, url, isWaiting, record, button, note}
let chosen = null;
let isAsking = false;
let categories = new Map(); // id -> category of the model
let lowConfidence = 0; // below it a landmark is drawn hollow

function addPhotos(files) {
  for (const file of files) {
    const note = element("small", { textContent: "waiting" });
    const button = element("button", { type: "button" }, element("span", { textContent: file.name }), note);
    const photo = { file, url: URL.createObjectURL(file), isWaiting: true, record: null, note, button };
    button.addEventListener("click", () => choose(photo));
    byId("queue").append(element("li", {}, button));
    photos.push(photo);
  }
  askNext();
}

async function askNext() {
  if (isAsking) return;
  isAsking = true;
  for (let photo; (photo = photos.find(({ isWaiting }) => isWaiting)); ) await find(photo);
  isAsking = false;
}

function formOf(photo, answer, minScore) {
  const form = new FormData();
  form.append("answer", answer);
  form.append("min_score", minScore);
  form.append("masks", byId("controls").elements.masks.checked || answer === "json");
  form.append("photo", photo.file, photo.file.name);
  return form;
}

async function find(photo) {
  photo.isWaiting = false;
  photo.note.textContent = "finding garments ...";
  try {
    const body = formOf(photo, "json", FLOOR);
    const response = await ask("predict", { method: "POST", body }, (busy) => (photo.note.textContent = busy));
    photo.record = await response.json();
    tellCount(photo);
    if (!chosen?.record) choose(photo);
  } catch (error) {
    photo.note.textContent = error.message;
    photo.note.className = "error";
  }
}

const minScore = () => Number(byId("min-score").value);
const garmentsOf = ({ record }) => record.garments.filter(({ score }) => score >= minScore());

function tellCount(photo) {
  const { length } = garmentsOf(photo);
  const best = photo.record.best_score.toFixed(2);
  photo.note.textContent = length ? `${length} garment${length > 1 ? "s" : ""}` : `none; the best score is ${best}`;
}

function choose(photo) {
  if (!photo.record) return;
  chosen = photo;
  for (const { button } of photos) button.removeAttribute("aria-current");
  photo.button.setAttribute("aria-current", "true");
  byId("result").hidden = false;
  const { width, height } = photo.record;
  const image = byId("photo");
  image.classList.remove("unseen");
  image.style.aspectRatio = `${width} / ${height}`;
  image.alt = `Photo ${photo.file.name}`;
  image.src = photo.url;
  byId("caption").textContent = `${photo.file.name}, ${width} x ${height}`;
  render();
}

function cannotShow() {
  if (!chosen) return;
  byId("photo").classList.add("unseen");
  byId("caption").textContent = `${chosen.file.name}: this browser cannot show this kind of picture`;
}

// ---- Try: the drawing and the tables

let points = []; // {x, y, text, circle, row} of the landmarks that are shown

function render() {
  const { record } = chosen;
  const overlay = byId("overlay");
  overlay.setAttribute("viewBox", `0 0 ${record.width} ${record.height}`);
  overlay.replaceChildren();
  byId("garments").replaceChildren();
  points = [];
  const garments = garmentsOf(chosen);
  for (const garment of garments) overlay.append(shapeOf(garment));
  garments.forEach((garment, place) => byId("garments").append(describe(garment, place === 0)));
  if (!garments.length) byId("garments").append(element("p", { className: "note", textContent: "No garment reaches this score." }));
  for (const { circle } of points) overlay.append(circle); // above all lines
  drawMasks(garments, record);
  toggleLayers();
  scalePoints();
  showPoint(null);
  photos.filter((photo) => photo.record).forEach(tellCount);
}

function shapeOf(garment) {
  const { color, skeleton, keypoints } = categories.get(garment.category_id);
  const group = svgElement("g", { color });
  const [x1, y1, x2, y2] = garment.box_xyxy;
  group.append(svgElement("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }));
  const at = (number) => garment.landmarks[keypoints[number - 1]];
  const edges = skeleton.filter(([a, b]) => at(a) && at(b));
  const lines = edges.map(([a, b]) => `M${at(a).x} ${at(a).y}L${at(b).x} ${at(b).y}`);
  group.append(svgElement("path", { d: lines.join("") }));
  return group;
}

function describe(garment, open) {
  const { color } = categories.get(garment.category_id);
  const swatch = element("span", { className: "swatch" });
  swatch.style.backgroundColor = color;
  const landmarks = Object.entries(garment.landmarks);
  const title = ` ${garment.category} ${garment.score.toFixed(2)}, ${landmarks.length} landmarks`;
  const rows = landmarks.map(([name, { number, x, y, confidence, visible }]) =>
    [number, name, x.toFixed(1), y.toFixed(1), confidence.toFixed(2), visible?.toFixed(2) ?? ""]);
  const columns = ["No.", "Landmark", "x", "y", "Confidence", "Visible"].map((head) => ({ title: head, text: head === "Landmark" }));
  const list = table("Landmarks, in pixels of the photo", columns, rows);
  landmarks.forEach(([name, { number, x, y, confidence }], place) => {
    const circle = svgElement("circle", { cx: x, cy: y, color, class: confidence < lowConfidence ? "low" : "" });
    const row = list.querySelectorAll("tbody tr")[place];
    const point = { x, y, text: `${number} ${name}`, circle, row };
    row.addEventListener("pointerenter", () => showPoint(point));
    row.addEventListener("pointerleave", () => showPoint(null));
    points.push(point);
  });
  const made = element("details", { open }, element("summary", {}, swatch, title), list);
  const lengths = Object.entries(garment.measurements ?? {});
  if (lengths.length) {
    const heads = ["Measurement", "Pixels", "Share of length", "Why not"].map((head, place) => ({ title: head, text: place % 3 === 0 }));
    made.append(table("Measurements", heads, lengths.map(([name, { pixels, ratio, reason }]) =>
      [name, pixels?.toFixed(1) ?? "", ratio?.toFixed(2) ?? "", reason ?? ""])));
  }
  return made;
}

let shownPoint = null;

function showPoint(point) {
  for (const part of [shownPoint?.circle, shownPoint?.row]) part?.classList.remove("shown");
  shownPoint = point;
  const tip = byId("tip");
  tip.hidden = !point;
  if (!point) return;
  for (const part of [point.circle, point.row]) part.classList.add("shown");
  const { width, height } = chosen.record;
  tip.textContent = point.text;
  tip.style.left = `${(100 * point.x) / width}%`;
  tip.style.top = `${(100 * point.y) / height}%`;
  tip.className = `${point.y < 0.15 * height ? "below" : ""} ${point.x < 0.2 * width ? "left" : point.x > 0.8 * width ? "right" : ""}`;
}

function nameNearest(event) {
  const frame = byId("stage").getBoundingClientRect();
  const scale = frame.width / chosen.record.width;
  let nearest = null;
  let least = REACH_PX;
  for (const point of points) {
    const distance = Math.hypot(point.x * scale - (event.clientX - frame.left), point.y * scale - (event.clientY - frame.top));
    if (distance < least) [nearest, least] = [point, distance];
  }
  if (nearest !== shownPoint) showPoint(nearest);
}

function scalePoints() {
  if (!chosen) return;
  const shown = byId("stage").clientWidth || 1;
  byId("overlay").style.setProperty("--r", `${(4 * chosen.record.width) / shown}px`);
}

function toggleLayers() {
  for (const { name, checked } of byId("controls").querySelectorAll("input[type=checkbox]"))
    if (name === "masks") byId("masks").hidden = !checked;
    else byId("overlay").classList.toggle(`no-${name}`, !checked);
}

// Lengths of the runs of a mask in COCO's compressed encoding: column by column, first outside.
export function runLengths(text) {
  const lengths = [];
  for (let place = 0; place < text.length; ) {
    let value = 0;
    let shift = 0;
    let code;
    do {
      code = text.charCodeAt(place++) - 48;
      value |= (code & 0x1f) << shift;
      shift += 5;
    } while (code & 0x20);
    if (code & 0x10 && shift < 32) value |= -1 << shift;
    if (lengths.length > 2) value += lengths[lengths.length - 2];
    lengths.push(value);
  }
  return lengths;
}

function drawMasks(garments, { width, height }) {
  const canvas = byId("masks");
  const scale = Math.min(1, MASK_SIDE_PX / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  for (const { mask, category_id } of garments.toReversed())
    if (mask) paint(pixels, mask, categories.get(category_id).color);
  context.putImageData(pixels, 0, 0);
}

function paint({ data, width, height }, { size: [fullHeight, fullWidth], counts }, color) {
  const rgba = [...[1, 3, 5].map((place) => parseInt(color.slice(place, place + 2), 16)), MASK_ALPHA];
  const lengths = runLengths(counts);
  let run = 0;
  let end = lengths[0];
  for (let x = 0; x < width; x++) {
    const column = Math.floor(((x + 0.5) * fullWidth) / width) * fullHeight;
    for (let y = 0; y < height; y++) {
      const place = column + Math.floor(((y + 0.5) * fullHeight) / height);
      while (end <= place) end += lengths[++run];
      if (run % 2) data.set(rgba, 4 * (y * width + x));
    }
  }
}

// ---- Try: downloads

const ENDINGS = { json: ".json", csv: ".csv", measurements: ".measurements.csv", drawing: ".drawing" };

async function download(button) {
  const photo = chosen;
  const { answer } = button.dataset;
  button.disabled = true;
  notice("");
  try {
    const blob = answer === "json"
      ? new Blob([JSON.stringify({ ...photo.record, garments: garmentsOf(photo) }, null, 1)], { type: "application/json" })
      : await (await ask("predict", { method: "POST", body: formOf(photo, answer, minScore()) }, notice)).blob();
    notice("");
    const ending = ENDINGS[answer] + (answer === "drawing" ? (blob.type === "image/png" ? ".png" : ".jpg") : "");
    save(blob, photo.file.name.replace(/\.[^.]*$/, "") + ending);
  } catch (error) {
    notice(error.message);
  }
  button.disabled = false;
}

// ---- Score: the leaderboard, and a team's own submissions

const POLL_SECONDS = 2;
const PROTOCOLS = { visible_and_occluded: "visible and occluded", visible: "visible" };

const fraction = (value) => value?.toFixed(4) ?? "n/a";
const time = (text) => text.replace("T", " ").replace("Z", "");
const texts = (...titles) => titles.map((title) => ({ title, text: true }));
const numbers = (...titles) => titles.map((title) => ({ title }));

async function showLeaderboard() {
  const phase = byId("phase").value;
  const board = await (await ask(`leaderboard?${new URLSearchParams({ phase })}`)).json();
  const columns = [
    ...numbers("Rank"), ...texts("Team"), ...numbers("AP", "AP visible", "Scored"),
    ...texts("External data", "Received (UTC)", "Scorer, ground truth", "Method"),
  ];
  const rows = board.entries.map(({ rank, ground_truth_replaced, num_scored, submission }) => {
    const { score } = submission;
    const origin = `${score.scorer}, ${score.ground_truth_sha256.slice(0, 8)}`;
    return [
      rank, submission.team, fraction(score.visible_and_occluded), fraction(score.visible), num_scored,
      submission.external_data, time(submission.received),
      ground_truth_replaced ? `${origin} (replaced since: do not compare)` : origin, submission.method_description,
    ];
  });
  const caption = `The best submission of each team in the ${phase} phase by AP of ${PROTOCOLS.visible_and_occluded} landmarks`;
  byId("leaderboard").replaceChildren(table(caption, columns, rows));
  if (!rows.length) byId("leaderboard").append(element("p", { className: "note", textContent: "Nothing is scored yet." }));
}

const teamToken = () => byId("team-token").value.trim();
let numWaiting = 0;
let isPolling = false;

async function showHistory() {
  byId("own").hidden = true;
  numWaiting = 0;
  if (!teamToken()) return;
  const { team, submissions } = await (await ask("submissions", { token: teamToken() })).json();
  numWaiting = submissions.filter(({ state }) => state === "queued" || state === "running").length;
  const columns = [
    ...numbers("No."), ...texts("Phase", "Received (UTC)"), ...numbers("AP", "AP visible"), ...texts("", "External data", "State"),
  ];
  const rows = submissions.map(({ id, phase, received, score, external_data, state, message }) => {
    const button = score ? element("button", { type: "button", textContent: "Details" }) : "";
    if (score) button.addEventListener("click", () => told(() => showDetails(id)));
    const aps = score ? [fraction(score.visible_and_occluded), fraction(score.visible)] : ["", ""];
    return [id, phase, time(received), ...aps, button, external_data, message ? `${state}: ${message}` : state];
  });
  byId("own-title").textContent = `Submissions of ${team}`;
  byId("history").replaceChildren(table("The newest first; failed ones do not count against the daily limit", columns, rows));
  byId("own").hidden = false;
}

async function showDetails(id) {
  const response = await ask(`score?submission=${id}`, { token: teamToken() });
  const facts = await response.json();
  const { member, num_records, num_images, num_beyond } = facts.submission;
  const protocols = Object.entries(PROTOCOLS);
  const names = Object.keys(facts.scores.visible).filter((name) => /^A[PR]/.test(name));
  const overall = protocols.map(([key, title]) => [title, ...names.map((name) => fraction(facts.scores[key][name]))]);
  const categories = Object.keys(facts.scores.visible.per_category);
  const perCategory = categories.map((name) => [name, ...protocols.map(([key]) => fraction(facts.scores[key].per_category[name]))]);
  const button = element("button", { type: "button", textContent: "Download JSON" });
  const blob = new Blob([JSON.stringify(facts, null, 1)], { type: "application/json" });
  button.addEventListener("click", () => save(blob, `submission-${id}.json`));
  byId("details").replaceChildren(
    element("h2", { textContent: `Submission ${id}` }),
    element("p", { className: "facts" }, `Checks passed: ${member}, ${num_records} results on ${num_images} images, ${num_beyond} of them beyond what counts. Scorer: ${facts.scorer}. Ground truth: SHA-256 ${facts.ground_truth_sha256}. `, button),
    table("Official score under both protocols", [...texts("Landmarks"), ...numbers(...names)], overall),
    table("AP of each category", [...texts("Category"), ...numbers(...protocols.map(([, title]) => title))], perCategory),
  );
  if (facts.diagnosis) byId("details").append(element("pre", { textContent: facts.diagnosis, tabIndex: 0 }));
  byId("details").focus();
}

// Do something; show the server's words where it refuses.
async function told(action) {
  notice("");
  try {
    await action();
  } catch (error) {
    notice(error.message);
  }
}

async function pollWhileWaiting() {
  if (isPolling) return;
  isPolling = true;
  while (numWaiting) {
    await pause(POLL_SECONDS);
    await told(showHistory);
    if (!numWaiting) await told(showLeaderboard);
  }
  isPolling = false;
}

async function showOwn() {
  await told(showHistory);
  pollWhileWaiting();
}

async function submit() {
  const [note, button, [file]] = [byId("submission-note"), byId("submit"), byId("zip").files];
  const fields = { phase: byId("phase").value, external_data: byId("external-data").value, method_description: byId("method").value };
  button.disabled = true;
  note.className = "wide";
  note.textContent = `Sending ${file.name} ...`;
  try {
    const options = { method: "POST", body: file, token: teamToken() };
    const response = await ask(`submissions?${new URLSearchParams(fields)}`, options, (busy) => (note.textContent = busy));
    note.textContent = `Accepted as submission ${(await response.json()).id}.`;
    showOwn();
  } catch (error) {
    note.className = "wide error";
    note.textContent = error.message;
  }
  button.disabled = false;
}

function startScore({ phases, daily_limit, max_mb }) {
  byId("phase").append(...phases.map((phase) => element("option", { textContent: phase })));
  byId("submission-limits").textContent =
    `A zip with val_keypoints.json or test_keypoints.json alone, up to ${max_mb} MB; ${daily_limit} a day (UTC) and phase. The same zip sent twice is one submission.`;
  byId("phase").addEventListener("change", () => told(showLeaderboard));
  byId("submission").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  const field = byId("team-token");
  field.value = sessionStorage.getItem("team-token") ?? "";
  field.addEventListener("change", () => {
    sessionStorage.setItem("team-token", teamToken());
    byId("details").replaceChildren();
    showOwn();
  });
  told(showLeaderboard).then(showOwn);
}

// ---- Start

function startTry({ categories: rows, low_confidence, upload_mb, megapixels }) {
  lowConfidence = low_confidence;
  categories = new Map(rows.map((row) => [row.id, row]));
  byId("photo-limits").textContent = `Up to ${upload_mb} MB and ${megapixels} megapixels each. They stay on the server for the time of the answer only.`;
  const drop = byId("drop");
  byId("photos").addEventListener("change", ({ target }) => {
    addPhotos([...target.files]);
    target.value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (!byId("try").hidden) addPhotos([...event.dataTransfer.files]);
  });
  byId("min-score").addEventListener("input", () => {
    byId("min-score-value").textContent = minScore().toFixed(2);
    if (chosen) render();
  });
  byId("controls").addEventListener("change", toggleLayers);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("[data-answer]"))
    button.addEventListener("click", () => download(button));
  byId("photo").addEventListener("error", cannotShow);
  byId("stage").addEventListener("pointermove", nameNearest);
  byId("stage").addEventListener("pointerdown", nameNearest);
  byId("stage").addEventListener("pointerleave", () => showPoint(null));
  new ResizeObserver(scalePoints).observe(byId("stage"));
}

const STARTERS = { try: startTry, score: startScore }; // section in /about -> what starts its panel

function startToken(isNeeded) {
  const field = byId("token");
  byId("token-form").hidden = !isNeeded;
  byId("token-form").addEventListener("submit", (event) => event.preventDefault());
  field.value = sessionStorage.getItem("token") ?? "";
  field.addEventListener("change", () => sessionStorage.setItem("token", field.value.trim()));
}

try {
  const { sections, needs_token } = await (await ask("about")).json();
  startToken(needs_token);
  startTabs(sections);
  for (const [name, facts] of Object.entries(sections)) STARTERS[name]?.(facts);
} catch (error) {
  notice(error.message);
}
