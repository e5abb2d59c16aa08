/** Parsers of single option values. Each failure's detail says what is allowed, for the error. */

import ipaddr from 'ipaddr.js'

import { must } from '../lib/assert.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { ListenAddress, OptionSpec } from './option-table.ts'

type Parsed<T> = Result<T, 'option'>

function refuse(allowed: string): Parsed<never> {
  return fail('option', allowed)
}

const DURATION_MS = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
} as const

const BYTES = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
} as const

const NUMBER_UNIT = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)$/

function readUnit(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = NUMBER_UNIT.exec(text)
  if (match === null) return null
  const [, digits = '', unit = ''] = match
  const amount = Number(digits)
  if (unit === '') return amount === 0 ? 0 : null
  const factor = Object.hasOwn(units, unit.toLowerCase()) ? units[unit.toLowerCase()] : undefined
  if (factor === undefined) return null
  const total = Math.round(amount * factor)
  return Number.isSafeInteger(total) ? total : null
}

/** Milliseconds of `30s`, `1.5h`, `72h`, `7d`; null otherwise. Only 0 may stand without a unit. */
export function parseDuration(text: string): number | null {
  return readUnit(text, DURATION_MS)
}

/** Bytes of `512MiB`, `2GB`, `4096`; null otherwise. Units are not case-sensitive. */
export function parseBytes(text: string): number | null {
  return readUnit(/^\d+$/.test(text) ? `${text}b` : text, BYTES)
}

function ranged(value: number | null, low: number, high: number, what: string): Parsed<number> {
  return value === null || value < low || value > high ? refuse(what) : ok(value)
}

/** `host:port`, with IPv6 in brackets; null otherwise. Does not look the name up. */
export function parseListenAddress(text: string): ListenAddress | null {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/.exec(text)
  if (match === null) return null
  const [, six, name, digits = ''] = match
  const port = Number(digits)
  if (port > 65_535 || (six !== undefined && !ipaddr.IPv6.isValid(six))) return null
  return { host: (six ?? must(name, 'host')).toLowerCase(), port }
}

/** The text form of an address, with IPv6 in brackets. */
export function formatListenAddress(address: ListenAddress): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

function parseBoolean(text: string): Parsed<boolean> {
  const value = Object.hasOwn(BOOLEANS, text.toLowerCase())
    ? BOOLEANS[text.toLowerCase()]
    : undefined
  return value === undefined ? refuse('true or false') : ok(value)
}

function parseUrl(text: string): URL | null {
  try {
    const url = new URL(text)
    return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
      ? url
      : null
  } catch {
    return null
  }
}

const HOST_SCHEMES = new Set(['http:', 'https:', 'ws:', 'wss:'])

function parseHost(text: string): string | null {
  const hasScheme = text.includes('://')
  const url = /[\s\\@]/.test(text) ? null : parseUrl(hasScheme ? text : `https://${text}`)
  if (url === null || !HOST_SCHEMES.has(url.protocol)) return null
  if (url.pathname !== '/' || url.hostname === '') return null
  return hasScheme ? `${url.protocol}//${url.host}` : url.host
}

function parseDirectory(text: string): string | null {
  const url = /\s/.test(text) ? null : parseUrl(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return null
  return url.origin + url.pathname.replace(/\/+$/, '')
}

function parseNetwork(text: string): string | null {
  const [address = '', bits, ...rest] = text.split('/')
  if (rest.length > 0) return null
  const four = ipaddr.IPv4.isValidFourPartDecimal(address)
  if (!four && !ipaddr.IPv6.isValid(address)) return null
  const bitsMax = four ? 32 : 128
  if (bits === undefined) return `${address}/${bitsMax}`
  return /^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax ? text : null
}

const ITEMS = {
  host: { parse: parseHost, allowed: 'host names like pds.example.com or http://localhost:2583' },
  url: { parse: parseDirectory, allowed: 'http or https URLs without user, query or fragment' },
  network: { parse: parseNetwork, allowed: 'IP addresses or networks like 10.0.0.0/8' },
} as const

function split(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function parseList(text: string, item: keyof typeof ITEMS): Parsed<readonly string[]> {
  const { parse, allowed } = ITEMS[item]
  const out: string[] = []
  for (const part of split(text)) {
    const value = parse(part)
    if (value === null) return refuse(allowed)
    if (!out.includes(value)) out.push(value)
  }
  return ok(out)
}

function parseSettings(
  text: string,
  names: readonly string[],
  values: readonly string[],
): Parsed<Readonly<Record<string, string>>> {
  const out: Record<string, string> = {}
  for (const part of split(text)) {
    const [name = '', value = '', ...rest] = part.split('=')
    if (rest.length > 0 || !names.includes(name) || !values.includes(value)) {
      return refuse(`name=${values.join('|')} with a name of ${names.join(', ')}`)
    }
    out[name] = value
  }
  return ok(out)
}

/**
 * Parses the text of one option. Lists and settings are comma-separated here; a repeated flag is
 * joined before. The value has the type `OptionValue` of the spec.
 */
export function parseOptionValue(spec: OptionSpec, text: string): Parsed<unknown> {
  switch (spec.kind) {
    case 'string':
      return text === '' || text.includes('\0') ? refuse('a text that is not empty') : ok(text)
    case 'integer': {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : null
      return ranged(value, spec.min, spec.max, `an integer from ${spec.min} to ${spec.max}`)
    }
    case 'threads': {
      if (text === 'auto') return ok(null)
      const value = /^\d{1,15}$/.test(text) ? Number(text) : null
      return ranged(value, 0, spec.max, `an integer from 0 to ${spec.max}, or auto`)
    }
    case 'bytes': {
      const what = `a size from ${spec.min} to ${spec.max}, like 4096, 512MiB or 2GB`
      return ranged(parseBytes(text), boundOf(spec.min), boundOf(spec.max), what)
    }
    case 'duration': {
      const what = `a duration from ${spec.min} to ${spec.max}, like 30s, 15m or 72h`
      const [low, high] = [spec.min, spec.max].map((t) => must(parseDuration(t), 'bound'))
      return ranged(parseDuration(text), must(low, 'min'), must(high, 'max'), what)
    }
    case 'boolean':
      return parseBoolean(text)
    case 'choice':
      return spec.values.includes(text) ? ok(text) : refuse(spec.values.join(' or '))
    case 'address': {
      if (spec.off && text === 'off') return ok(null)
      const address = parseListenAddress(text)
      const what = 'host:port, like 127.0.0.1:2470, [::1]:2470 or, for every network, 0.0.0.0:2470'
      return address === null ? refuse(spec.off ? `${what}; or off` : what) : ok(address)
    }
    case 'list':
      return parseList(text, spec.item)
    case 'settings':
      return parseSettings(text, spec.names, spec.values)
    default:
      return spec satisfies never
  }
}

function boundOf(text: string): number {
  return must(parseBytes(text), 'bound')
}
