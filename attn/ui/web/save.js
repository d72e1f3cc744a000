// A file made in the browser, handed to the reader.

/** Downloads `content` (a text or a Blob) as `name`. */
export function saveFile(name, content, type = content.type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
