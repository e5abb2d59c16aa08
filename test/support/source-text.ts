/** TypeScript text with the parts blanked that a check must not look at. Line breaks stay. */

/** `code` is without comments and without the insides of strings; `uncommented` keeps strings. */
export interface SplitText {
  readonly code: string
  readonly uncommented: string
}

/** After these a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = /(?:^|[([{,;=:!&|?+\-*%^~<>]|\b(?:return|typeof|case|of|in|throw|await))\s*$/

const TOKEN = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`|\/|[{}]/g
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y

const blank = (text: string): string => text.replaceAll(/[^\n]/g, ' ')

/** Splits one file. Knows as much of the grammar as telling strings and comments apart takes. */
export function splitText(text: string): SplitText {
  let code = ''
  let uncommented = ''
  let at = 0
  /** For each template literal that is open, how many braces are open in its substitution. */
  const templates: number[] = []
  const take = (end: number, kind: 'code' | 'string' | 'comment'): void => {
    const part = text.slice(at, end)
    code += kind === 'code' ? part : blank(part)
    uncommented += kind === 'comment' ? blank(part) : part
    at = end
  }
  const takeTemplate = (): void => {
    const end = templateEnd(text, at)
    take(end, 'string')
    if (text.startsWith('${', end)) {
      take(end + 2, 'code')
      templates.push(0)
    } else take(Math.min(end + 1, text.length), 'string')
  }
  for (;;) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (match === null) {
      take(text.length, 'code')
      return { code, uncommented }
    }
    const [token] = match
    take(match.index, 'code')
    if (token.startsWith('//') || token.startsWith('/*')) take(at + token.length, 'comment')
    else if (token === '`') {
      take(at + 1, 'string')
      takeTemplate()
    } else if (token === '/') {
      REGEX.lastIndex = at
      const regex = BEFORE_REGEX.test(code.slice(-40)) ? REGEX.exec(text) : null
      take(at + (regex?.[0].length ?? 1), regex === null ? 'code' : 'string')
    } else if (token === '{' || token === '}') {
      const open = templates.at(-1)
      take(at + 1, 'code')
      if (open === undefined) continue
      if (token === '}' && open === 0) {
        templates.pop()
        takeTemplate()
      } else templates[templates.length - 1] = open + (token === '{' ? 1 : -1)
    } else take(at + token.length, 'string')
  }
}

/** Where the text of a template literal ends that goes on at `from`: at `${` or at its backtick. */
function templateEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '`' || text.startsWith('${', at)) return at
  }
  return text.length
}
