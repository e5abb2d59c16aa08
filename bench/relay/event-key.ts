/** What a commit is known by on both sides of a relay, found without decoding it. */

/** `#commit` stands at most this far from the start: the header of a frame has 15 bytes. */
const TYPE_OFFSET_MAX = 16
const TYPE = Buffer.from('#commit')
/** Key `rev` and the head of a text of 13 characters. */
const REV = Buffer.from('crevm')
const REV_CHARS = 13
/** Key `repo` and the head of a text of 24 to 255 characters; its length follows. */
const REPO = Buffer.from('drepox')

/**
 * Repository and rev of a `#commit`, which no two commits share; null for other messages. A relay
 * changes only the seq, so that the same bytes are found on both sides.
 *
 * @param message An event-stream frame, without WebSocket header.
 */
export function eventKey(message: Buffer): string | null {
  const type = message.subarray(0, TYPE_OFFSET_MAX + TYPE.length).indexOf(TYPE)
  if (type < 0) return null
  const rev = message.indexOf(REV)
  const repo = message.indexOf(REPO)
  if (rev < 0 || repo < 0) return null
  const revAt = rev + REV.length
  const repoAt = repo + REPO.length + 1
  const repoChars = message[repoAt - 1] ?? 0
  return (
    message.toString('latin1', revAt, revAt + REV_CHARS) +
    message.toString('latin1', repoAt, repoAt + repoChars)
  )
}
