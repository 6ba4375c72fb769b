// Resumable uploads: tus 1.0.0, in parts that continue where the server's bytes end.
import { parseError } from './api.js';

// Below the usual limits of proxies, which may keep a whole part before they forward it.
const PART_BYTES = 16 * 1024 * 1024;
// How often the server may contradict the offset in a row.
const CONFLICTS = 5;

const base64 = (text) => btoa(String.fromCodePoint(...new TextEncoder().encode(text)));

// Sends the rest of a file. `upload.place` is what the server has; it survives a failure, after which the next call asks
// for the offset. `on.answered` gets the request with the song or with an error, `on.broken` is called if the connection
// fails.
export function sendParts(upload, fields, on) {
  const { file } = upload;

  function send(method, path, headers, body, then) {
    const request = new XMLHttpRequest();
    upload.request = request;
    request.upload.onprogress = ({ loaded }) => on.progress((upload.place?.offset ?? 0) + loaded, file.size);
    request.onload = () => then(request);
    request.onerror = on.broken;
    request.open(method, path);
    for (const [name, value] of Object.entries({ 'Tus-Resumable': '1.0.0', Accept: 'application/json', ...headers })) {
      request.setRequestHeader(name, value);
    }
    request.send(body);
  }

  const dataOf = (request) => JSON.parse(request.responseText).data;

  function refused(request) {
    const { place } = upload;
    // Others may succeed with the bytes that the server has: after a login, with more quota, later.
    if (request.status < 500 && ![401, 403, 408, 429].includes(request.status)) upload.place = null;
    if (request.status === 408) return on.broken();
    if (request.status === 409 && place && !parseError(409, request.responseText).errors.some((error) => error.code !== 'conflict' || error.field)
      && place.conflicts < CONFLICTS) {
      place.conflicts += 1;
      upload.place = place;
      return locate();
    }
    on.answered(request);
  }

  function create() {
    const metadata = Object.entries({ ...fields, filename: file.name }).map(([name, value]) => `${name} ${base64(value)}`).join(',');
    send('POST', 'songs/uploads', { 'Upload-Length': file.size, 'Upload-Metadata': metadata }, null, (request) => {
      if (request.status !== 201) return refused(request);
      upload.place = { id: dataOf(request).upload.id, title: fields.title, offset: 0, conflicts: 0 };
      next();
    });
  }

  function locate() {
    send('GET', `songs/uploads/${upload.place.id}`, {}, null, (request) => {
      // It has expired, or the server refused the file and the response was lost.
      if (request.status === 404) return create();
      if (request.status !== 200) return refused(request);
      const { received_bytes: offset, song_id: song } = dataOf(request).upload;
      if (song) return send('GET', `songs/${song}`, {}, null, on.answered);
      upload.place.offset = offset;
      next();
    });
  }

  function next() {
    const { place } = upload;
    on.progress(place.offset, file.size);
    const headers = { 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': place.offset };
    send('PATCH', `songs/uploads/${place.id}`, headers, file.slice(place.offset, place.offset + PART_BYTES), (request) => {
      if (request.status !== 200) return refused(request);
      const { upload: { received_bytes: offset }, song } = dataOf(request);
      if (song) return on.answered(request);
      Object.assign(place, { offset, conflicts: 0 });
      upload.tries = 0;
      next();
    });
  }

  if (!upload.place) create();
  else locate();
}

// Deletes what the server has of a cancelled upload.
export function forgetParts({ place }) {
  if (place) fetch(`songs/uploads/${place.id}`, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' }, keepalive: true }).catch(() => { /* it expires */ });
}
