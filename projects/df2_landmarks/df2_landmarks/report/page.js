"use strict";
const form = document.getElementById("filters");
const gallery = document.getElementById("gallery");
const shown = document.getElementById("shown");
function update() {
  const wanted = [...form.querySelectorAll("select")]
    .filter((select) => select.value)
    .map((select) => `${select.name}=${select.value}`);
  let count = 0;
  for (const picture of gallery.children) {
    const tags = picture.dataset.tags.split("|");
    picture.hidden = !wanted.every((tag) => tags.includes(tag));
    if (!picture.hidden) count += 1;
  }
  shown.textContent = `${count} pictures`;
  document.body.classList.toggle("no-truth", !form.elements["show-truth"].checked);
  document.body.classList.toggle("no-predicted", !form.elements["show-predicted"].checked);
}
form.addEventListener("change", update);
form.addEventListener("submit", (event) => event.preventDefault());
update();
