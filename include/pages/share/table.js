// Sorts the table by the column whose heading is pressed, and hides the rows that the filters leave out.
(function () {
  "use strict";
  var table = document.getElementById("bang-xa");
  if (!table) return;
  var body = table.tBodies[0];
  var rows = Array.prototype.slice.call(body.rows);
  var headings = Array.prototype.slice.call(table.tHead.rows[0].cells);

  function keyOf(row, column) {
    var key = row.cells[column].getAttribute("data-key");
    return key === null ? null : Number(key);
  }

  function sortBy(column) {
    var heading = headings[column];
    var up = heading.getAttribute("aria-sort") !== "ascending";
    headings.forEach(function (other) { other.removeAttribute("aria-sort"); });
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.map(function (row, place) { return { row: row, place: place, key: keyOf(row, column) }; })
      .sort(function (one, other) {
        // A cell without a figure comes last either way; equal cells stay in the table's own order.
        if (one.key === null || other.key === null) {
          return (one.key === null) - (other.key === null) || one.place - other.place;
        }
        return (up ? one.key - other.key : other.key - one.key) || one.place - other.place;
      })
      .forEach(function (item) { body.appendChild(item.row); });
  }

  headings.forEach(function (heading, column) {
    var button = document.createElement("button");
    button.type = "button";
    while (heading.firstChild) button.appendChild(heading.firstChild);
    heading.appendChild(button);
    button.addEventListener("click", function () { sortBy(column); });
  });

  function folded(text) {
    return text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/[đĐ]/g, "d").toLowerCase();
  }

  var search = document.getElementById("tim");
  var district = document.getElementById("loc-huyen");
  var level = document.getElementById("loc-muc");
  var status = document.getElementById("dem");
  // Name, kind and code.
  var texts = rows.map(function (row) {
    return folded([row.cells[1].textContent, row.cells[0].textContent, row.cells[2].textContent].join(" "));
  });

  function filter() {
    var wanted = folded(search.value.trim());
    var shown = 0;
    rows.forEach(function (row, place) {
      row.hidden = (wanted && texts[place].indexOf(wanted) < 0) ||
        (district && district.value && row.getAttribute("data-district") !== district.value) ||
        (level.value && row.getAttribute("data-level") !== level.value);
      if (!row.hidden) shown += 1;
    });
    status.textContent = "Hiện " + shown + " trong " + rows.length + " đơn vị.";
  }

  [search, district, level].forEach(function (field) {
    if (field) field.addEventListener("input", filter);
  });
  document.querySelector(".filters").hidden = false;
  filter();
})();
