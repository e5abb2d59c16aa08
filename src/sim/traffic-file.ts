/**
 * Traffic that was signed before, in a file.
 *
 * ```
 * "skeinsim"          magic, 8 bytes
 * u32 LE, bytes       header: length, then JSON (TrafficHeader)
 * u32 LE, bytes       a frame: length in the low 24 bits, index of its host in the high 8
 * …
 * ```
 *
 * Frames are event-stream frames without WebSocket framing. Those of one host come in the order of
 * their seqs, 1, 2, 3…; of hosts among each other in the order in which they were sent.
 */
import { open } from 'node:fs/promises'
import { assert } from '../lib/assert.ts'
import { fromUtf8, utf8 } from '../lib/bytes.ts'
import { messageOf, SkeinError } from '../lib/errors.ts'
import type { DocumentFormat } from './plc-directory.ts'

const MAGIC = utf8('skeinsim')
const VERSION = 1
const LENGTH_MASK = 0xff_ffff
export const TRAFFIC_HOSTS_MAX = 256
/** Largest file that is read: it is held in memory. */
export const TRAFFIC_BYTES_MAX: number = 2 * 1024 * 1024 * 1024
/** Bytes collected before they are written. */
const WRITE_BYTES = 1024 * 1024

/** What has to be known of an account to verify its frames. */
export interface TrafficAccount {
  readonly did: string
  readonly handle: string
  /** did:key of the signing key. */
  readonly key: string
  readonly host: number
  readonly format: DocumentFormat
}

export interface TrafficHeader {
  readonly version: number
  readonly seed: number
  /** Number of hosts. */
  readonly hosts: number
  readonly accounts: readonly TrafficAccount[]
}

/** Writes a traffic file. */
export class TrafficWriter {
  readonly #file: Awaited<ReturnType<typeof open>>
  #parts: Uint8Array[] = []
  #bytes = 0
  #frames = 0

  private constructor(file: Awaited<ReturnType<typeof open>>) {
    this.#file = file
  }

  /** @throws SkeinError DATA_DIRECTORY_UNUSABLE when the file cannot be created. */
  static async create(
    path: string,
    header: Omit<TrafficHeader, 'version'>,
  ): Promise<TrafficWriter> {
    assert(header.hosts <= TRAFFIC_HOSTS_MAX, 'more hosts than a traffic file can tell apart')
    const file = await opened(path, 'w')
    const writer = new TrafficWriter(file)
    const json = utf8(JSON.stringify({ version: VERSION, ...header }))
    writer.#push(MAGIC)
    writer.#push(numberBytes(json.length))
    writer.#push(json)
    return writer
  }

  /** Frames added so far. */
  get frames(): number {
    return this.#frames
  }

  /** Adds a frame; resolves when there is room for another. */
  async add(host: number, frame: Uint8Array): Promise<void> {
    assert(frame.length <= LENGTH_MASK, 'frame fits in 24 bits')
    this.#push(numberBytes(frame.length + host * (LENGTH_MASK + 1)))
    this.#push(frame)
    this.#frames++
    if (this.#bytes >= WRITE_BYTES) await this.#flush()
  }

  async close(): Promise<void> {
    await this.#flush()
    await this.#file.close()
  }

  #push(bytes: Uint8Array): void {
    this.#parts.push(bytes)
    this.#bytes += bytes.length
  }

  async #flush(): Promise<void> {
    const parts = this.#parts
    this.#parts = []
    this.#bytes = 0
    if (parts.length > 0) await this.#file.writev(parts)
  }
}

function numberBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

/** A frame of a file, a view into it. */
export interface TrafficFrame {
  readonly host: number
  readonly frame: Uint8Array
}

/** A traffic file in memory. */
export interface TrafficFile {
  readonly header: TrafficHeader
  frames(): Generator<TrafficFrame>
}

/**
 * Reads a whole file.
 *
 * @throws SkeinError DATA_DIRECTORY_UNUSABLE when it cannot be read, OPTION_INVALID when it is not
 *   a traffic file, is cut off, or is over TRAFFIC_BYTES_MAX.
 */
export async function readTraffic(path: string): Promise<TrafficFile> {
  const file = await opened(path, 'r')
  try {
    const { size } = await file.stat()
    if (size > TRAFFIC_BYTES_MAX) throw unusable(path, `it is over ${TRAFFIC_BYTES_MAX} bytes`)
    return parseTraffic(new Uint8Array(await file.readFile()), path)
  } finally {
    await file.close()
  }
}

/** Reads the bytes of a traffic file; `path` is for errors. Throws OPTION_INVALID. */
export function parseTraffic(bytes: Uint8Array, path: string): TrafficFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const start = MAGIC.length + 4
  const hasMagic = bytes.length >= start && MAGIC.every((byte, i) => bytes[i] === byte)
  if (!hasMagic) throw unusable(path, 'it does not begin as a traffic file does')
  const end = start + view.getUint32(MAGIC.length, true)
  const header = end > bytes.length ? null : parseHeader(bytes.subarray(start, end))
  if (header === null) throw unusable(path, 'its header cannot be read')
  checkFrames(view, end, header.hosts, path)
  return { header, frames: () => framesFrom(bytes, view, end) }
}

function checkFrames(view: DataView, start: number, hosts: number, path: string): void {
  let at = start
  while (at + 4 <= view.byteLength) {
    const value = view.getUint32(at, true)
    if (value >>> 24 >= hosts) throw unusable(path, 'a frame is of a host that is not there')
    at += 4 + (value & LENGTH_MASK)
  }
  if (at !== view.byteLength) throw unusable(path, 'it is cut off')
}

function* framesFrom(bytes: Uint8Array, view: DataView, start: number): Generator<TrafficFrame> {
  for (let at = start; at < bytes.length;) {
    const value = view.getUint32(at, true)
    const end = at + 4 + (value & LENGTH_MASK)
    yield { host: value >>> 24, frame: bytes.subarray(at + 4, end) }
    at = end
  }
}

function parseHeader(bytes: Uint8Array): TrafficHeader | null {
  try {
    const header = JSON.parse(fromUtf8(bytes) ?? '') as Partial<TrafficHeader>
    const { version, hosts, accounts } = header
    const isUsable = version === VERSION && Number.isInteger(hosts) && Array.isArray(accounts)
    return isUsable ? (header as TrafficHeader) : null
  } catch {
    return null
  }
}

function unusable(path: string, why: string): SkeinError {
  return new SkeinError('OPTION_INVALID', `read traffic: ${why}`, { path })
}

async function opened(path: string, flags: 'r' | 'w'): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    return await open(path, flags)
  } catch (error) {
    const fields = { path, reason: messageOf(error) }
    throw new SkeinError('DATA_DIRECTORY_UNUSABLE', 'open traffic file', fields, error)
  }
}
