/**
 * The one error base. Errors are for the caller's mistakes and for the environment (options, disk,
 * sockets, locks); hostile input never throws, it yields a reason from ./reasons.ts.
 */

/** Every code that a {@link SkeinError} may carry, with what the person who sees it should do. */
export const ERROR_CODES = {
  OPTION_INVALID: 'An option has a value that is not allowed. The message names it; see --help.',
  OPTION_UNKNOWN: 'An option or SKEIN_ variable is not known. Check its spelling in --help.',
  DATA_DIRECTORY_LOCKED:
    'Another process uses this data directory. Stop it or choose another directory.',
  DATA_DIRECTORY_UNUSABLE: 'The data directory cannot be created or written. Check path and owner.',
  ADDRESS_UNAVAILABLE: 'The address cannot be listened on. Choose another with --bind.',
  LOG_DAMAGED: 'The event log holds damage that is not a torn tail. Restore it from a backup.',
  LOG_WRITE_FAILED: 'The event log could not be written (disk full or failing). Nothing was lost.',
  LOG_READ_FAILED: 'The event log could not be read (failing disk or too many open files).',
  STORE_FAILED: 'The state database could not be opened, read or written.',
  STORE_TOO_NEW: 'The data directory was written by a newer version. Upgrade Skein.',
  REPO_UNAVAILABLE:
    'The account stopped being served while its repository or a blob of it was read.',
  CRYPTO_UNAVAILABLE: 'No signature implementation could be loaded for a curve.',
  VERIFIER_FAILED:
    'A verifier thread failed on an event, which was dropped. Report it as a defect.',
  KEY_INVALID: 'Bytes are not a private key of the curve that the caller named.',
  SYNTAX_INVALID: 'A text is not a valid identifier of the kind that the caller asked for.',
  SCHEMA_ASYNC: 'A schema of records answers with a promise where an answer is needed at once.',
  ENCODE_UNSUPPORTED: 'A value has no DRISL encoding (a float, undefined, or nested too deep).',
  TREE_INCOMPLETE: 'A tree operation needs a block that the caller did not supply.',
  TREE_INVALID: 'A tree block breaks a rule of the repository format.',
  CAR_INVALID: 'Bytes are not a CAR that this reader accepts.',
  REPO_UNVERIFIED: 'A repository that was read is cut, breaks a rule, or is over a limit.',
  REQUEST_BLOCKED: 'An outbound request was refused: its address is not public.',
  REQUEST_FAILED: 'An outbound request failed or answered outside its limits.',
  NOT_THERE: 'What was named does not exist or is not active. Asking again will say the same.',
  FILE_FAILED: 'A file could not be read or written. Check its path and owner, and free space.',
  STOPPED: 'The component has been stopped.',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** Data of an error, shown as key=value after its message. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | null>>

/**
 * An error with a stable `code`. The message reads `action: state`, the fields are appended as
 * key=value and kept in `fields`.
 */
export class SkeinError extends Error {
  override readonly name = 'SkeinError'
  readonly code: ErrorCode
  readonly fields: ErrorFields

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}, cause?: unknown) {
    const suffix = Object.entries(fields)
      .map(([key, value]) => `${key}=${String(value)}`)
      .join(' ')
    super(
      suffix === '' ? message : `${message}; ${suffix}`,
      cause === undefined ? undefined : { cause },
    )
    this.code = code
    this.fields = fields
  }
}

/** The message of anything that was thrown. Never throws itself, whatever that is. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    // An object without a prototype, or whose own methods throw.
    return 'thrown without a message'
  }
}

/** The `code` of a system or Skein error (`ENOSPC`, `LOG_DAMAGED`), or null. */
export function codeOf(thrown: unknown): string | null {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return null
  return typeof thrown.code === 'string' ? thrown.code : null
}
