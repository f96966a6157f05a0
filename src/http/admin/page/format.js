// Numbers and times as people read them.

/** `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.floor(ms / 1000);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  return parts
    .slice(first, first + 2)
    .map(([size, unit], place) => [Math.floor((place ? seconds % parts[first][0] : seconds) / size), unit])
    .filter(([count], place) => count || !place)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** `812 B`, `4.2 KiB`, `1.5 GiB`. */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  for (; count >= 1024 && place < units.length - 1; place += 1) count /= 1024;
  return `${place && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[place]}`;
}

/** `14:05:09`, as the reader's clock shows it. */
export function clock(ms) {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** `2026-03-01 14:05:09`. */
export function moment(ms) {
  const at = new Date(ms);
  const day = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${day.join("-")} ${clock(ms)}`;
}

/** `12 345`: thousands apart by a thin space. */
export function count(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

/** `1 poll`, `3 polls`. */
export function many(number, one) {
  return `${count(number)} ${one}${number === 1 ? "" : "s"}`;
}
