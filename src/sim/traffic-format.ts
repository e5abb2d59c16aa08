/**
 * The layout of a file of traffic that was signed before.
 *
 * ```
 * "skeinsim"            magic, 8 bytes
 * u32 LE, bytes         header: length, then JSON (TrafficHeader)
 * u32 LE u32 LE u32 LE  a block: bytes of its frames, number of its frames, index of its host
 * bytes                 its frames, end to end, ready for the wire (../stream/wire-frame.ts)
 * …                     more blocks
 * u32 LE u32 LE u32 LE  the end: 0, number of all frames, 0xffffffff
 * ```
 *
 * Frames of one host come in the order of their seqs, 1, 2, 3…; a block holds frames of one host
 * only, so that a host is read without reading the others.
 */
import { fromUtf8, utf8 } from '../lib/bytes.ts'
import { messageOf, SkeinError } from '../lib/errors.ts'
import type { DocumentFormat } from './plc-directory.ts'

export const TRAFFIC_MAGIC: Uint8Array = utf8('skeinsim')
export const TRAFFIC_VERSION = 2
export const TRAFFIC_HOSTS_MAX = 256
/** Largest header: a million accounts have some 200 MB. It is held in memory. */
export const TRAFFIC_HEADER_BYTES_MAX: number = 256 * 1024 * 1024
/** Frames of all hosts together: what the end can count. */
export const TRAFFIC_FRAMES_MAX = 0xffff_ffff
/** Length of the head of a block, and the host that marks the end. */
export const BLOCK_HEAD_BYTES = 12
const END_HOST = 0xffff_ffff

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

/** The head of a block. */
export interface BlockHead {
  /** Length of its frames. */
  readonly bytes: number
  readonly frames: number
  readonly host: number
}

export function encodeBlockHead({ bytes, frames, host }: BlockHead): Uint8Array {
  const head = new DataView(new ArrayBuffer(BLOCK_HEAD_BYTES))
  head.setUint32(0, bytes, true)
  head.setUint32(4, frames, true)
  head.setUint32(8, host, true)
  return new Uint8Array(head.buffer)
}

/** What stands in place of another block when there is none. */
export function encodeEnd(frames: number): Uint8Array {
  return encodeBlockHead({ bytes: 0, frames, host: END_HOST })
}

/** @param bytes BLOCK_HEAD_BYTES of them. */
export function decodeBlockHead(bytes: Uint8Array): BlockHead | { readonly endFrames: number } {
  const head = new DataView(bytes.buffer, bytes.byteOffset)
  const [length, frames, host] = [0, 4, 8].map((at) => head.getUint32(at, true)) as [
    number,
    number,
    number,
  ]
  return host === END_HOST ? { endFrames: frames } : { bytes: length, frames, host }
}

/** Null when it is no header of this version. Accounts are taken as they are. */
export function parseHeader(bytes: Uint8Array): TrafficHeader | null {
  try {
    const header = JSON.parse(fromUtf8(bytes) ?? '') as Partial<TrafficHeader>
    const { version, hosts = 0, accounts } = header
    const hasHosts = Number.isInteger(hosts) && hosts > 0 && hosts <= TRAFFIC_HOSTS_MAX
    const isUsable = version === TRAFFIC_VERSION && hasHosts && Array.isArray(accounts)
    return isUsable ? (header as TrafficHeader) : null
  } catch {
    return null
  }
}

/** The file is not what it should be. */
export function unusable(path: string, why: string): SkeinError {
  return new SkeinError('OPTION_INVALID', `read traffic: ${why}`, { path })
}

/** The file cannot be opened, read or written. */
export function fileFailed(action: string, path: string, cause: unknown): SkeinError {
  const fields = { path, reason: messageOf(cause) }
  return new SkeinError('DATA_DIRECTORY_UNUSABLE', `${action} traffic file`, fields, cause)
}
