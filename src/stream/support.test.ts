/**
 * What the tests of this folder share: a clock that is moved by hand, vectors, and small frames.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as realDelay } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper, fromString } from '@atcute/cid'
import type { Clock, Timer } from '../lib/clock.ts'
import { encodeWireFrame, parseFrame } from './frame.ts'
import type { MessageFrame } from './frame-types.ts'
import { encodeMessageFrame } from './own-frames.ts'

/** Time stands still until `advance`. */
export class ManualClock implements Clock {
  #ms = 0
  #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()

  nowMs(): number {
    return 1_800_000_000_000 + this.#ms
  }

  monotonicMs(): number {
    return this.#ms
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry = { atMs: this.#ms + Math.max(0, delayMs), callback }
    this.#timers.add(entry)
    return { cancel: () => void this.#timers.delete(entry) }
  }

  get pending(): number {
    return this.#timers.size
  }

  /** Fires everything due within `ms`, in order, letting sockets work in between. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#ms + ms
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.atMs <= untilMs)
      due.sort((a, b) => a.atMs - b.atMs)
      const [first] = due
      if (first === undefined) break
      this.#ms = Math.max(this.#ms, first.atMs)
      this.#timers.delete(first)
      first.callback()
      await nextTurn()
    }
    this.#ms = untilMs
    await settle()
  }
}

/** Lets loopback sockets deliver what is under way. */
export async function settle(): Promise<void> {
  await realDelay(15)
}

/** Waits, in real time, until `condition` holds; fails after `ms`. */
export async function until(condition: () => boolean, what: string, ms = 5_000): Promise<void> {
  const start = performance.now()
  while (!condition()) {
    assert.ok(performance.now() - start < ms, `waited too long for: ${what}`)
    await realDelay(2)
  }
}

const VECTORS = new URL('../../../shared/vectors/', import.meta.url)
export const HAS_VECTORS: boolean = existsSync(VECTORS)

/** Frames of a vector file: u32 little-endian length, bytes, and so on. */
export function vectorFrames(name: string): Uint8Array[] {
  const stored = readFileSync(new URL(name, VECTORS))
  const bytes = name.endsWith('.gz') ? gunzipSync(stored) : stored
  const frames: Uint8Array[] = []
  for (let offset = 0; offset < bytes.length;) {
    const length = bytes.readUInt32LE(offset)
    frames.push(new Uint8Array(bytes.subarray(offset + 4, offset + 4 + length)))
    offset += 4 + length
  }
  return frames
}

export const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
export const TIME = '2026-08-20T12:34:56.789Z'
export const LINK: CidLinkWrapper = new CidLinkWrapper(
  fromString('bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm').bytes,
)

/** A frame with the fewest fields that a commit may have. */
export function commitFrame(seq: number): Uint8Array {
  return encodeMessageFrame('#commit', {
    seq,
    repo: DID,
    commit: LINK,
    rev: '3jzfcijpj2z2a',
    since: null,
    blocks: new BytesWrapper(new Uint8Array([1, 2, 3])),
    ops: [{ action: 'create', path: 'a.b.c/self', cid: LINK }],
    blobs: [],
    time: TIME,
    rebase: false,
    tooBig: false,
  })
}

/** An identity event as subscribers get it, padded to about `bytes`. */
export function wireIdentity(seq: number, bytes: number): Uint8Array {
  const body = { seq: 1, did: DID, time: TIME, padding: 'x'.repeat(bytes) }
  return encodeWireFrame(messageOf(encodeMessageFrame('#identity', body)), seq)
}

/** Parses a frame that must be a good message. */
export function messageOf(bytes: Uint8Array): MessageFrame {
  const result = parseFrame(bytes)
  assert.ok(result.ok, result.ok ? '' : `${result.reason}: ${result.detail}`)
  assert.ok(result.value.kind === 'message')
  return result.value
}

test('the manual clock fires timers in order and not before their time', async () => {
  const clock = new ManualClock()
  const fired: string[] = []
  clock.after(20, () => fired.push('b'))
  clock.after(10, () => fired.push('a'))
  clock.after(5, () => fired.push('cancelled')).cancel()
  await clock.advance(15)
  assert.deepEqual(fired, ['a'])
  await clock.advance(5)
  assert.deepEqual(fired, ['a', 'b'])
})
