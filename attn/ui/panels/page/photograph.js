// The photograph's panel, where Gradio's own leaves off: files dropped beside it, and sources that cannot work here.
const FIELD = '#photograph input[type=file]';
let taking = false;

// Takes a picture dropped anywhere on the page: the browser would leave the page for it. The panel itself takes its own.
export function takeDrops(page) {
  if (taking) return;
  taking = true;
  page.addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  });
  page.addEventListener('drop', (event) => {
    const field = document.querySelector(FIELD);
    const file = [...(event.dataTransfer?.files ?? [])].find(({ type }) => type.startsWith('image/'));
    if (!event.dataTransfer?.files.length || event.defaultPrevented) return;
    event.preventDefault();
    if (!file || !field) return;
    const picked = new DataTransfer();
    picked.items.add(file);
    field.files = picked.files;
    field.dispatchEvent(new Event('change', { bubbles: true }));
  });
}

// Over plain http browsers give neither the clipboard nor a camera.
export function hideSources() {
  document.documentElement.classList.toggle('attn-insecure', !window.isSecureContext);
}
