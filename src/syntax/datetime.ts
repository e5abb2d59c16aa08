/** Datetimes (specification: lexicon, string formats): where RFC 3339 and ISO 8601 agree. */
import { type Branded, parseWith, requireWith } from './brand.ts'

/** A moment as text, to any fraction of a second, with its time zone. */
export type Datetime = Branded<'datetime'>

const DATETIME_CHARS_MAX = 64

/** Year, month, day, hour, minute, second, fraction, zone: sign, hours, minutes. */
const DATETIME =
  /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):([0-5]\d):[0-5]\d(?:\.\d+)?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/

const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const

/**
 * True for a datetime that exists: capital T and Z, whole seconds present, a zone (but not
 * `-00:00`), a day that its month has, at most 64 characters, and not before year 0 in UTC. Leap
 * seconds are refused.
 */
export function isDatetime(value: unknown): value is Datetime {
  if (typeof value !== 'string' || value.length > DATETIME_CHARS_MAX) return false
  const match = DATETIME.exec(value)
  if (match === null) return false
  const [, year, month, day, hour, minute, sign, zoneHour, zoneMinute] = match
  if (sign === '-' && zoneHour === '00' && zoneMinute === '00') return false
  if (!isCalendarDate(Number(year), Number(month), Number(day))) return false
  const atYearZero = year === '0000' && month === '01' && day === '01'
  if (!atYearZero || sign !== '+') return true
  return `${hour}${minute}` >= `${zoneHour}${zoneMinute}`
}

/** `text` as a datetime, or null. */
export function parseDatetime(text: string): Datetime | null {
  return parseWith(isDatetime, text)
}

/** `text` as a datetime. Throws SYNTAX_INVALID. */
export function toDatetime(text: string): Datetime {
  return requireWith(isDatetime, 'datetime', text)
}

/** The datetime of `timeMs`, milliseconds since the Unix epoch, in the preferred form. */
export function formatDatetime(timeMs: number): Datetime {
  return toDatetime(new Date(timeMs).toISOString())
}

function isCalendarDate(year: number, month: number, day: number): boolean {
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const days = month === 2 && isLeapYear ? 29 : (DAYS_OF_MONTH[month - 1] ?? 0)
  return day >= 1 && day <= days
}
