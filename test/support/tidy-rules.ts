/** What may stand only in certain places, and where that is, each place with its reason. */

/** A pattern over code (comments and strings are blank) and the places where it may match. */
export interface BannedCode {
  readonly name: string
  readonly pattern: RegExp
  /** Path or beginning of a path, and why. */
  readonly allowed: Readonly<Record<string, string>>
}

/** Files that nothing imports because they are started: the command, and scripts of threads. */
export const STARTED: readonly string[] = [
  'src/cli/main.ts',
  'src/relay/verifiers/verifier-thread.ts',
]

const CLOCK = { 'src/lib/clock.ts': 'the clock of the runtime' }

/** Rules for what runs: not for tests. */
export const BANNED_CODE: readonly BannedCode[] = [
  {
    name: 'the time',
    pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.(?:now|timeOrigin)\b|\bhrtime\b/,
    allowed: CLOCK,
  },
  {
    name: 'timers',
    pattern: /(?<![.\w])(?:setTimeout|setInterval|setImmediate)\b|\bAbortSignal\.timeout\b/,
    allowed: CLOCK,
  },
  {
    name: 'chance',
    pattern: /\bMath\.random\b/,
    allowed: { 'src/lib/random.ts': 'the generator of the runtime' },
  },
  {
    name: "the runtime's own fetch",
    pattern: /(?<![.#\w])fetch\(|\bglobalThis\.fetch\b/,
    allowed: {
      'src/http/http-server.ts': 'a handler that is called so, which answers and asks nobody',
      'src/identity/safe-fetch.ts': 'the method of this name; it asks through checked connections',
      'src/identity/http-client.ts': 'its declaration',
      'src/identity/web-http.ts': 'the adapter to it, and its own method of this name',
    },
  },
  {
    name: 'ending the process',
    pattern: /\bprocess\.(?:exit|exitCode|abort|kill)\b/,
    allowed: { 'src/cli/': 'commands end the process, nothing else does' },
  },
  {
    name: 'signals and process events',
    pattern: /\bprocess\.(?:on|once|off|addListener)\b/,
    allowed: {
      'src/cli/main.ts': 'the executable',
      'src/ops/temporary-directory.ts': 'what is there at the exit would stay for ever',
    },
  },
  {
    name: 'the environment',
    pattern: /\bprocess\.(?:env|argv|cwd)\b/,
    allowed: { 'src/cli/main.ts': 'the executable' },
  },
  {
    name: 'the console and the standard streams',
    pattern: /\bconsole\.|\bprocess\.std(?:in|out|err)\b/,
    allowed: { 'src/cli/main.ts': 'the executable' },
  },
]

/** Rules for every source file, tests included. */
export const BANNED_EVERYWHERE: readonly BannedCode[] = [
  { name: 'any', pattern: /(?::|\bas|<|\||&)\s*any\b(?!\s*\()/, allowed: {} },
  { name: 'default exports', pattern: /\bexport default\b/, allowed: {} },
  {
    name: 'enums and namespaces',
    pattern: /^\s*(?:export )?(?:const enum|enum|namespace) /m,
    allowed: {},
  },
  {
    name: 'tests that are skipped, or leave others out',
    pattern: /\b(?:test|it|describe)\.(?:only|skip|todo)\(/,
    allowed: {},
  },
]

/** Comments that are notes to oneself, or switch the compiler off. */
export const BANNED_COMMENTS: readonly RegExp[] = [
  new RegExp(String.raw`@ts-(?:ignore|expect-error|nocheck)`),
  new RegExp(String.raw`\b(?:TO${'DO'}|FIX${'ME'}|XX${'X'}|HA${'CK'})\b`),
]

/**
 * Files of `stream` that run on Node only. The others are its reading half, which imports nothing
 * from `node:`, as nothing of the folders below does.
 */
export const NODE_ONLY_STREAM: readonly string[] = [
  'src/stream/broadcaster.ts',
  'src/stream/refusal.ts',
  'src/stream/runtime-transport.node.ts',
  'src/stream/session.ts',
  'src/stream/ws-transport.ts',
]

/** Folders that run anywhere. `index.ts` of `stream` is left out: it names both halves. */
export const PURE_LAYERS: readonly string[] = ['lib', 'syntax', 'data', 'repo', 'client']

/** Most lines of a file; a test may have more when it is listed below. */
export const LINES_MAX = 450
export const TEST_LINES_MAX = 700
export const LINE_CHARS_MAX = 100
/** Most lines of a function. What `describe` is given is a list of tests, not a function. */
export const FUNCTION_LINES_MAX = 70

/** Test files over LINES_MAX, each with the reason why it is one file. */
export const LONG_TESTS: Readonly<Record<string, string>> = {}

/** Reasons and codes that nothing in `src` produces, each with the reason why they are kept. */
export const UNUSED_CODES: Readonly<Record<string, string>> = {}

/**
 * Words that have no place in a public repository: names of tools of one workplace. As the
 * beginning of their SHA-256, so that this list does not break its own rule.
 */
export const UNWANTED_WORD_HASHES: ReadonlySet<string> = new Set([
  'c857d09db23e',
  'c70eca6b0f88',
  '7d3194f79e64',
  '60965168ce76',
  '053ea4804ef1',
  '3ea125d0bff3',
  '5d72436256ad',
  '487b91042c7c',
  'de2187af3fb0',
  '32e83e92d45d',
  '94a168d2da57',
  'd298391b0743',
  'c247e9808f5e',
  '57de4cf40144',
  '5792d2981981',
  'fa08b6209310',
  '5d0c0ab127fd',
])

/** Files that name a path outside the repository as an attack, not as a place. */
export const OUTSIDE_ON_PURPOSE: Readonly<Record<string, string>> = {
  'src/identity/plc-resolver.test.ts': 'a DID that would leave the path of the directory',
}

/** Absolute paths of one machine. */
export const MACHINE_PATHS: RegExp = new RegExp(String.raw`(?<![\w.])/(?:work|root|home|Users)/\w`)
