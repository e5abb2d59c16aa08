/** The runtime behind the default condition. Nothing reachable from here imports from `node:`. */
import { nobleK256, nobleP256 } from './backend-noble.ts'
import { createWebP256 } from './backend-web.ts'
import type { Runtime } from './runtime.ts'
import { createSha256, sha256, sha256Latin1 } from './sha256.web.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export const runtime: Runtime = {
  name: 'web',
  sha256,
  sha256Latin1,
  createSha256,
  asciiText: (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end)),
  utf8Text: (bytes, start, end) => decoder.decode(bytes.subarray(start, end)),
  backends: { k256: [nobleK256], p256: [nobleP256] },
  createAsyncP256: createWebP256,
  createK256Signer: () => null,
}
