// The module worker behind panels/page/photograph.js: reading a camera's photograph takes a while.
import { smaller } from './smaller.js';

self.onmessage = async ({ data: { number, file, longest, stride } }) => {
  try {
    self.postMessage({ number, result: await smaller(file, longest, stride) });
  } catch {
    self.postMessage({ number, result: { blob: null } }); // the server says what is wrong with it
  }
};
