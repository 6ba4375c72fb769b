// The files of a drop, including those in folders.

export const SUFFIXES = ['mp3', 'flac', 'wav', 'aiff', 'aif', 'ogg', 'oga', 'opus', 'm4a', 'mp4', 'aac', 'mka', 'webm'];

// In a folder, files of other kinds, such as covers, are skipped without an error.
const isSong = (file) => /^(audio|video)\//.test(file.type) || SUFFIXES.includes(file.name.split('.').pop().toLowerCase());

// Returns the files, the names of folders without songs, and how many other files the folders contain.
export async function dropped(data) {
  // Read the items now: they are gone when the event ends. A browser without entries has the files only.
  const items = [...data.items].filter(({ kind }) => kind === 'file').map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const all = { files: [], empty: [], skipped: 0 };
  for (const { entry, file } of items) {
    if (!entry?.isDirectory) {
      all.files.push(file);
      continue;
    }
    const inside = await filesIn(entry);
    const found = inside.filter(isSong);
    all.files.push(...found);
    if (found.length) all.skipped += inside.length - found.length;
    else all.empty.push(entry.name);
  }
  return all;
}

// The files in a folder and the folders in it, sorted by name. What cannot be read is left out.
async function filesIn(folder) {
  const reader = folder.createReader();
  const entries = [];
  // Each call returns some of the entries, the last one none.
  for (;;) {
    const some = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  const files = [];
  for (const entry of entries) {
    if (entry.isDirectory) files.push(...await filesIn(entry));
    else if (!entry.name.startsWith('.')) files.push(await new Promise((done) => entry.file(done, () => done(null))));
  }
  return files.filter(Boolean);
}
