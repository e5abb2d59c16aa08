/** Pages of reference: each export of an entry point with its contract and its signature. */
import type { Declaration, DeclarationFile, Declarations, Export } from './declarations.ts'

/** The entry points that have a page. */
export const API_ENTRIES: readonly string[] = [
  'client',
  'repo',
  'data',
  'syntax',
  'stream',
  'identity',
]

/** `api/client.md` and so on, with their texts. */
export function apiPages(declarations: Declarations): ReadonlyMap<string, string> {
  return new Map(
    API_ENTRIES.map((entry) => [`api/${entry}.md`, apiPage(entry, declarations)] as const),
  )
}

function apiPage(entry: string, declarations: Declarations): string {
  const exports = declarations.exportsOf(entry)
  const files = [...new Set(exports.map(({ file }) => file))]
  const sections = files.map((file) => {
    const own = exports.filter((one) => one.file === file)
    return { file, own, text: section(declarations.file(file), file, own) }
  })
  const index = sections.map(
    ({ file, own }) =>
      `- ${file}: ${own.map(({ declaration: { name } }) => `[${name}](#${name.toLowerCase()})`).join(', ')}`,
  )
  return [
    `# skein/${entry}`,
    '',
    `Every export of \`skein/${entry}\`, as the declarations have it, by the file that defines it.`,
    '',
    ...index,
    '',
    sections.map(({ text }) => text.trimEnd()).join('\n\n'),
    '',
  ].join('\n')
}

function section(file: DeclarationFile, path: string, own: readonly Export[]): string {
  const intro = file.intro.startsWith('@module') ? '' : prose(file.intro)
  const shown = own.map(({ declaration }) => item(declaration, file))
  return [`## ${path}`, '', ...(intro === '' ? [] : [intro, '']), ...shown].join('\n')
}

function item(declaration: Declaration, file: DeclarationFile): string {
  const { name, doc } = declaration
  const parts = [declaration, ...inherited(declaration, file)]
  const code = parts.map(({ signature }) => signature).join('\n\n')
  return [
    `### ${name}`,
    '',
    ...(doc === '' ? [] : [prose(doc), '']),
    '```ts',
    code,
    '```',
    '',
  ].join('\n')
}

/** What a declaration extends within its file without that being exported: it is shown with it. */
function inherited(declaration: Declaration, file: DeclarationFile): readonly Declaration[] {
  const shown = new Set<Declaration>()
  let pending = [declaration]
  for (let depth = 0; depth < 5 && pending.length > 0; depth++) {
    const heads = pending.map(({ signature }) => signature.split('{', 1)[0] ?? '').join(' ')
    pending = file.declarations.filter(
      (other) =>
        !other.isExported && !shown.has(other) && new RegExp(`\\b${other.name}\\b`).test(heads),
    )
    for (const one of pending) shown.add(one)
  }
  return [...shown]
}

/** A doc comment as Markdown. */
function prose(doc: string): string {
  const [before = '', ...tags] = doc.split(/^(?=@[a-zA-Z])/m)
  const blocks = tags.map((tag) => tagText(tag.trim()))
  const text = [before.trim(), ...blocks].filter((part) => part !== '').join('\n\n')
  return text.replaceAll(/\{@link ([^}]+)\}/g, '`$1`')
}

function tagText(tag: string): string {
  const [, kind = '', rest = ''] = /^@(\w+)\s*([\s\S]*)$/.exec(tag) ?? []
  if (kind === 'module') return rest
  if (kind === 'example') return rest.includes('```') ? rest : `\`\`\`ts\n${rest}\n\`\`\``
  if (kind !== 'param' && kind !== 'typeParam') return `${TITLES[kind] ?? kind}: ${rest}`
  const [, name = '', meaning = ''] = /^(\S+)\s*([\s\S]*)$/.exec(rest) ?? []
  return `\`${name}\`: ${meaning}`
}

const TITLES: Readonly<Record<string, string>> = {
  returns: 'Returns',
  throws: 'Throws',
}
