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
  for (const box of form.querySelectorAll("input[type=checkbox]"))
    document.body.classList.toggle(`no-${box.name.slice("show-".length)}`, !box.checked);
}
form.addEventListener("change", update);
form.addEventListener("submit", (event) => event.preventDefault());
update();
