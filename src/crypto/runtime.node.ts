/** The runtime behind the `node` condition. */
import { Buffer } from 'node:buffer'

import { nativeK256, nativeK256Signer } from './backend-native.ts'
import { nobleK256, nobleP256 } from './backend-noble.ts'
import { nodeK256, nodeP256 } from './backend-node.ts'
import { wasmK256 } from './backend-wasm.ts'
import type { Runtime } from './runtime.ts'
import { sha256, sha256Latin1 } from './sha256.node.ts'

/** See runtime.ts. A third of the cost of building the text in JavaScript. */
function asciiText(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end)
}

// Works on any Uint8Array, as the rest of Buffer's methods do.
const latin1Slice = Buffer.prototype.latin1Slice as (
  this: Uint8Array,
  start: number,
  end: number,
) => string

export const runtime: Runtime = {
  name: 'node',
  sha256,
  sha256Latin1,
  asciiText,
  backends: {
    k256: [nativeK256, wasmK256, nodeK256, nobleK256],
    p256: [nodeP256, nobleP256],
  },
  createAsyncP256: () => null,
  createK256Signer: nativeK256Signer,
}
