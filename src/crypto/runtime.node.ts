/** The runtime behind the `node` condition. */
import { Buffer } from 'node:buffer'

import { nativeK256, nativeK256Signer } from './backend-native.ts'
import { nobleK256, nobleP256 } from './backend-noble.ts'
import { nodeK256, nodeP256 } from './backend-node.ts'
import { wasmK256 } from './backend-wasm.ts'
import type { Runtime } from './runtime.ts'
import { createSha256, sha256, sha256Latin1 } from './sha256.node.ts'

/** See runtime.ts. A third of the cost of building the text in JavaScript. */
function asciiText(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end)
}

function utf8Text(bytes: Uint8Array, start: number, end: number): string {
  return utf8Slice.call(bytes, start, end)
}

// They work on any Uint8Array, as the rest of Buffer's methods do.
type Slice = (this: Uint8Array, start: number, end: number) => string
const latin1Slice = Buffer.prototype.latin1Slice as Slice
const utf8Slice = Buffer.prototype.utf8Slice as Slice

export const runtime: Runtime = {
  name: 'node',
  sha256,
  sha256Latin1,
  createSha256,
  asciiText,
  utf8Text,
  backends: {
    k256: [nativeK256, wasmK256, nodeK256, nobleK256],
    p256: [nodeP256, nobleP256],
  },
  createAsyncP256: () => null,
  createK256Signer: nativeK256Signer,
}
