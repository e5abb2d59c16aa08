/** The steps of `skein doctor`, and the form of what it can find. */

/** The steps in the order in which they are walked, with what each one asks. */
export const DOCTOR_STEPS = {
  handle: 'Does the handle lead to the account, and the account back to the handle?',
  'did-document': 'What does the DID document say: key, host, handle?',
  name: 'Does the host name lead to an address that relays may connect to?',
  connect: 'Does the host take a connection, and is its certificate good?',
  'describe-server': 'Does the host answer describeServer, as relays ask before they add it?',
  'list-repos': 'Which accounts does the host list?',
  websocket: 'Does subscribeRepos upgrade to a WebSocket?',
  'first-frame': 'Does the stream carry well-formed events?',
  'first-commit': 'Does a commit of the stream verify with the key of its DID document?',
  'host-match': 'Do the DID documents of accounts in the stream name this host?',
  'account-at-host': 'What does the host say of the account?',
  'head-signature': 'Is the newest commit signed with the key of the DID document?',
  'relay-host': 'What does the relay make of the host?',
  'relay-lag': 'How far has the relay read the stream of the host?',
  'relay-account': 'What does the relay make of the account?',
  'relay-head': 'Is the relay at the same commit as the host?',
} as const

export type DoctorStepName = keyof typeof DOCTOR_STEPS

/** `fail`: relays cannot carry the host or account until it is mended; `warn`: worth a look. */
export type ProblemLevel = 'fail' | 'warn'

export interface Problem {
  readonly step: DoctorStepName
  readonly level: ProblemLevel
  /** What is the matter: one sentence. */
  readonly says: string
  /** What to do: one or two sentences. */
  readonly fix: string
}

/** Problems of one step: level, what is the matter, what to do. */
export function problemsAt<const Code extends string>(
  step: DoctorStepName,
  problems: Readonly<Record<Code, readonly [ProblemLevel, string, string]>>,
): Readonly<Record<Code, Problem>> {
  const rows = Object.entries<readonly [ProblemLevel, string, string]>(problems)
  const made = rows.map(([code, [level, says, fix]]) => [code, { step, level, says, fix }] as const)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same keys as were given
  return Object.fromEntries(made) as Readonly<Record<Code, Problem>>
}
