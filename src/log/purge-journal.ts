/**
 * The file of purges that have begun and not ended, so that a crash does not bring purged events
 * back. Replaced as a whole; absent when nothing is pending. Little-endian:
 *
 * ```
 *  0  8  magic "SKEINPRG"
 *  8  4  number of purges
 * 12  4  CRC-32C of what follows
 * 16  …  a purge each: 8 bytes hash of the DID, 8 bytes the seq below which its events go
 * ```
 */
import { crashPoint } from '../lib/crash-point.ts'
import { crc32c } from './crc32c.ts'
import { getUint53, setUint53 } from './entry-codec.ts'
import { PURGES_PENDING_MAX } from './log-limits.ts'
import { closeQuietly, damaged } from './segment.ts'
import type { LogStorage } from './storage.ts'

const MAGIC = 0x4752_504e_4945_4b53n
const HEAD_BYTES = 16
const ITEM_BYTES = 16
const NAME = 'purges'

export function encodePurges(purges: ReadonlyMap<bigint, number>): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + purges.size * ITEM_BYTES)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, MAGIC, true)
  view.setUint32(8, purges.size, true)
  let at = HEAD_BYTES
  for (const [didHash, beforeSeq] of purges) {
    view.setBigUint64(at, didHash, true)
    setUint53(view, at + 8, beforeSeq)
    at += ITEM_BYTES
  }
  view.setUint32(12, crc32c(bytes, HEAD_BYTES), true)
  return bytes
}

/** The purges; null when the bytes are not a whole journal. */
export function decodePurges(bytes: Uint8Array): Map<bigint, number> | null {
  if (bytes.length < HEAD_BYTES) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const count = view.getUint32(8, true)
  if (view.getBigUint64(0, true) !== MAGIC) return null
  if (bytes.length !== HEAD_BYTES + count * ITEM_BYTES) return null
  if (view.getUint32(12, true) !== crc32c(bytes, HEAD_BYTES)) return null
  const purges = new Map<bigint, number>()
  for (let at = HEAD_BYTES; at < bytes.length; at += ITEM_BYTES) {
    const beforeSeq = getUint53(view, at + 8)
    if (!Number.isSafeInteger(beforeSeq)) return null
    purges.set(view.getBigUint64(at, true), beforeSeq)
  }
  return purges
}

/** Makes `purges` what the next open will find. */
export async function writePurges(
  storage: LogStorage,
  folder: string,
  purges: ReadonlyMap<bigint, number>,
): Promise<void> {
  const path = `${folder}/${NAME}`
  if (purges.size === 0) {
    await storage.remove(path)
    crashPoint('purge.journal-removed')
    return
  }
  const file = await storage.open(`${path}.new`, 'create')
  try {
    await file.write(encodePurges(purges), 0)
    await file.sync()
  } finally {
    await closeQuietly(file)
  }
  crashPoint('purge.journal-written')
  await storage.rename(`${path}.new`, path)
  await storage.syncDirectory(folder)
  crashPoint('purge.journaled')
}

/** The pending purges of the last run. Errors: LOG_DAMAGED when the file is not whole. */
export async function readPurges(
  storage: LogStorage,
  folder: string,
): Promise<Map<bigint, number>> {
  const names = await storage.list(folder)
  if (names.includes(`${NAME}.new`)) await storage.remove(`${folder}/${NAME}.new`)
  if (!names.includes(NAME)) return new Map()
  const path = `${folder}/${NAME}`
  const file = await storage.open(path, 'read')
  try {
    const size = await file.size()
    const most = HEAD_BYTES + PURGES_PENDING_MAX * ITEM_BYTES
    const bytes = new Uint8Array(Math.min(size, most))
    await file.read(bytes, 0)
    const purges = size <= most ? decodePurges(bytes) : null
    if (purges === null) throw damaged('the list of pending purges is not whole', path, 0)
    return purges
  } finally {
    await closeQuietly(file)
  }
}
