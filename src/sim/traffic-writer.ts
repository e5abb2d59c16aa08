/** Writes a traffic file, holding no more than a block of each host. */
import { type FileHandle, open } from 'node:fs/promises'
import { assert, must } from '../lib/assert.ts'
import { concatBytes, utf8 } from '../lib/bytes.ts'
import { wireHeaderBytes, writeWireHeader } from '../stream/wire-frame.ts'
import {
  encodeBlockHead,
  encodeEnd,
  fileFailed,
  TRAFFIC_FRAMES_MAX,
  TRAFFIC_HEADER_BYTES_MAX,
  TRAFFIC_HOSTS_MAX,
  TRAFFIC_MAGIC,
  TRAFFIC_VERSION,
  type TrafficHeader,
} from './traffic-format.ts'

/** Bytes of a block: what subscribers are handed at once, and less when there are many hosts. */
const BLOCK_BYTES_MAX = 256 * 1024
/** Bytes that wait to be written, of all hosts together. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024

interface Waiting {
  parts: Uint8Array[]
  bytes: number
  frames: number
}

/** Owns the file that it writes. */
export class TrafficWriter implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #path: string
  readonly #waiting: readonly Waiting[]
  readonly #blockBytes: number
  #frames = 0

  private constructor(file: FileHandle, path: string, hosts: number) {
    this.#file = file
    this.#path = path
    this.#waiting = Array.from({ length: hosts }, () => ({ parts: [], bytes: 0, frames: 0 }))
    this.#blockBytes = Math.min(BLOCK_BYTES_MAX, Math.floor(WAITING_BYTES_MAX / hosts))
  }

  /** Throws DATA_DIRECTORY_UNUSABLE when the file cannot be written, as all that follows. */
  static async create(
    path: string,
    header: Omit<TrafficHeader, 'version'>,
  ): Promise<TrafficWriter> {
    const { hosts } = header
    assert(hosts > 0 && hosts <= TRAFFIC_HOSTS_MAX, 'number of hosts of a traffic file')
    const json = utf8(JSON.stringify({ version: TRAFFIC_VERSION, ...header }))
    assert(json.length <= TRAFFIC_HEADER_BYTES_MAX, 'accounts fit in a traffic file')
    const file = await open(path, 'w').catch((error: unknown) => {
      throw fileFailed('open', path, error)
    })
    const writer = new TrafficWriter(file, path, hosts)
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, json.length, true)
    await writer.#put(concatBytes([TRAFFIC_MAGIC, length, json]))
    return writer
  }

  /** Frames added so far. */
  get frames(): number {
    return this.#frames
  }

  /** Adds a host's next frame, which is kept as it is; resolves when there is room for another. */
  async add(host: number, frame: Uint8Array): Promise<void> {
    assert(this.#frames < TRAFFIC_FRAMES_MAX, 'frames of a traffic file')
    const waiting = must(this.#waiting[host], 'host')
    const head = new Uint8Array(wireHeaderBytes(frame.length))
    writeWireHeader(head, frame.length)
    waiting.parts.push(head, frame)
    waiting.bytes += head.length + frame.length
    waiting.frames++
    this.#frames++
    if (waiting.bytes >= this.#blockBytes) await this.#flush(host)
  }

  /** Writes what is left and the end, without which nobody reads the file. */
  async finish(): Promise<void> {
    for (let host = 0; host < this.#waiting.length; host++) await this.#flush(host)
    await this.#put(encodeEnd(this.#frames))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  async #flush(host: number): Promise<void> {
    const waiting = must(this.#waiting[host], 'host')
    const { parts, bytes, frames } = waiting
    if (frames === 0) return
    waiting.parts = []
    waiting.bytes = 0
    waiting.frames = 0
    await this.#put(concatBytes([encodeBlockHead({ bytes, frames, host }), ...parts]))
  }

  async #put(bytes: Uint8Array): Promise<void> {
    await this.#file.writeFile(bytes).catch((error: unknown) => {
      throw fileFailed('write', this.#path, error)
    })
  }
}
