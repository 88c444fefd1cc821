// A short film, recorded by the browser itself: no program and no file of video is needed.

/** In the page: records some seconds of changing colours and numbers as WebM, keeps the Blob as `film`, and gives its bytes as text. */
export async function recordFilm() {
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width: 320, height: 180 });
  const pen = canvas.getContext('2d');
  const recorder = new MediaRecorder(canvas.captureStream(15), { mimeType: 'video/webm;codecs=vp8' });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start(200);
  for (let i = 0; i < 45; i += 1) {
    pen.fillStyle = `hsl(${i * 8} 70% 40%)`;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = 'white';
    pen.font = '64px serif';
    pen.fillText(String(i), 125, 110);
    await new Promise((done) => setTimeout(done, 66));
  }
  await new Promise((done) => {
    recorder.onstop = done;
    recorder.stop();
  });
  globalThis.film = new Blob(parts, { type: 'video/webm' });
  return Array.from(new Uint8Array(await globalThis.film.arrayBuffer()), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
