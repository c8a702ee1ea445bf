import { type Automaton, STOP } from "../automaton/automaton.ts";
import { PREFIX_BYTES } from "../automaton/gap-tables.ts";
import { type AutomatonGaps, gapOf, IS_LINE_END, NO_GAP } from "../automaton/gaps.ts";
import { FILTER_MARGIN_BYTES, PrefixFilter } from "../automaton/prefix-filter.ts";
import { EITHER, MANY, SingleEscapes } from "../automaton/single-escape.ts";
import { behindNothing, isWithinRun, mayBeNothing, UNKNOWN } from "../escapes/escape-bytes.ts";
import { EscapeReader, NOTHING, RAW_BYTE } from "../escapes/escape-reader.ts";
import { utf8Length, utf8Of } from "../escapes/utf8.ts";
import type { NeedleSet } from "../needles/needle-set.ts";
import { Hits } from "./hits.ts";
import { LookAhead } from "./look-ahead.ts";
import { Matches } from "./matches.ts";
import { prunedReadings, Reading, stepReadings } from "./reading.ts";
import type { Regions } from "./regions.ts";
import { ScannedText } from "./scanned-text.ts";

/** Scanned bytes that are kept for markers, which show a match's last characters, and for checks of the text before. */
const KEPT_BYTES = 64;
/** Scanned bytes that are kept while an escape is read, because a few characters may take so many bytes. */
const KEPT_WITH_ESCAPES_BYTES = 512;

/** The most short skips of the prefix filter in a row. After more the scanner does without the filter for a while. */
const MAX_SHORT_SKIPS = 4;
/** A skip of the prefix filter over fewer bytes counts as short. */
const SHORT_SKIP_BYTES = 128;
/** Bytes for which the scanner does without the prefix filter after too many short skips. */
const UNFILTERED_BYTES = 1_024;
/** Bytes for which the scanner does without the prefix filter in text that is full of escapes. */
const UNFILTERED_DENSE_BYTES = 4_096;

/** The most bytes in a row inside a secret that stand for no character, such as an indented line end, or colours. */
const MAX_NOTHING_BYTES = 128;

const [ZERO, X] = [0x30, 0x78];

const NO_BYTES = new Uint8Array();

/**
 * Finds needles in a stream, as they are or written with escapes. At an escape the automaton continues twice: with the
 * bytes as they are written, and, in a reading, with the characters that they stand for.
 */
export class Scanner {
  readonly hits: Hits;
  readonly #automaton: Automaton;
  readonly #text: ScannedText;
  readonly #matches: Matches;
  /** Arrived bytes that are not scanned yet, because the bytes after them decide how they are read. */
  #carried: Uint8Array = NO_BYTES;
  #state = 0;
  #readings: Reading[] = [];
  readonly #reader: EscapeReader;
  readonly #singles: SingleEscapes;
  readonly #lookAhead: LookAhead;
  /** The offset of the escape that was read last; -1 when there is none. */
  #readAt = -1;
  /** The only reading of that escape, or MANY. */
  #single = 0;
  /** The offset after that escape. */
  #singleNext = 0;
  /** The offset of an escape whose rest has not arrived yet; -1 when there is none. */
  #waitsAt = -1;
  #words = PrefixFilter.wordsOf(NO_BYTES);
  /** The position up to which the prefix filter is not used, because it saved nothing. */
  #unfilteredTo = 0;
  #shortSkips = 0;
  /** Whether the text or a reading has a match at its end that can be checked only with the bytes after it. */
  #unchecked: "nothing" | "text" | "reading" = "nothing";

  constructor(needles: NeedleSet, from = 0) {
    const { automaton } = needles;
    this.#automaton = automaton;
    this.#text = new ScannedText(from);
    this.#matches = new Matches(needles, this.#text);
    this.hits = new Hits(automaton.triggerLengths);
    this.#reader = new EscapeReader(automaton.introduces);
    this.#singles = new SingleEscapes(automaton.introduces);
    this.#lookAhead = new LookAhead(automaton, this.#singles);
  }

  /** The regions of the stream in which needles were found, and which must be redacted. */
  get regions(): Regions {
    return this.#matches.regions;
  }

  /** The number of bytes that have arrived. */
  get received(): number {
    return this.#text.position + this.#carried.length;
  }

  /** The position before which no match can begin or change: where the longest match that is still possible begins. */
  get settled(): number {
    const { reach, depth } = this.#automaton;
    // A match that has not been checked yet may be a whole needle already.
    const isChecked = this.#unchecked !== "text";
    let settled = this.#text.position - ((isChecked ? reach : depth)[this.#state] as number);
    for (const reading of this.#readings) {
      const open = (reading.isChecked ? reach : depth)[reading.state] as number;
      settled = Math.min(settled, reading.startOf(open));
    }
    return settled;
  }

  /** The position at which a held trigger may have begun; the end of the scanned text when there is none. */
  get triggerFrom(): number {
    return this.#text.position - (this.#automaton.triggerReach[this.#state] as number);
  }

  /** Scans the next bytes. An escape that begins at their end and is not complete is scanned with the next chunk. */
  scan(chunk: Uint8Array): void {
    this.#scan(this.#carried.length === 0 ? chunk : Buffer.concat([this.#carried, chunk]), false);
  }

  /** Ends the text. An escape whose rest did not arrive counts as plain bytes. */
  finish(): void {
    this.#scan(this.#carried, true);
  }

  /** Starts a new text at `position`, as a new scanner would. */
  reset(position: number): void {
    this.#text.reset(position);
    this.#state = 0;
    this.#unfilteredTo = 0;
    this.#unchecked = "nothing";
    this.#carried = NO_BYTES;
    if (this.#readings.length > 0) this.#readings = [];
    this.regions.clear();
    this.hits.clear();
  }

  #scan(text: Uint8Array, isAll: boolean): void {
    this.#text.open(text, isAll);
    this.#words = PrefixFilter.wordsOf(text);
    this.#waitsAt = -1;
    this.#readAt = -1;
    let at = 0;
    let isOver = !this.#check(0);
    while (!isOver) {
      if (this.#readings.length > 0) at = this.#scanReadings(at);
      else if (at < text.length) at = this.#scanPlain(at);
      const isEnd = at === text.length && !this.#readings.some((reading) => this.#isOpen(reading, at));
      isOver = isEnd || this.#waitsAt === at || this.#unchecked !== "nothing";
    }
    this.#advance(at);
  }

  /** Scans from the offset `from` on until an escape that matters; returns the offset where the scan stopped. */
  #scanPlain(from: number): number {
    const text = this.#text.bytes;
    const { table, classOf, classes, rows, longest, triggerIn, stopClasses, shallow, filter } =
      this.#automaton;
    const length = text.length;
    let state = this.#state;
    let at = from;
    // Near the ends of the text the prefix filter is not used, because it reads bytes before and after its position.
    const filterTo = this.#words.length > 0 && filter ? length - 2 * FILTER_MARGIN_BYTES : 0;
    while (at < length) {
      const filterFrom = Math.max(at, FILTER_MARGIN_BYTES, this.#unfilteredTo - this.#text.position);
      const maySkip = at === filterFrom && at < filterTo;
      if (maySkip && state < shallow) {
        this.#state = state;
        at = this.#skip(at);
        state = this.#state;
      }
      const deep = maySkip ? shallow * classes : 0;
      const end = maySkip || filterFrom >= filterTo ? length : filterFrom;
      let isStop = false;
      if (state < rows) {
        let entry = state * classes;
        let row = entry;
        do {
          row = entry;
          entry = table[row + (classOf[text[at++] as number] as number)] as number;
        } while (entry >= deep && at < end);
        if (entry >= 0) {
          state = entry / classes;
          continue;
        }
        isStop = entry === STOP;
        state = isStop ? row / classes : ~entry;
        if (isStop) at--;
      } else {
        const byteClass = classOf[text[at] as number] as number;
        isStop = byteClass > 0 && byteClass <= stopClasses;
        if (!isStop) state = this.#automaton.step(state, text[at++] as number);
      }
      if (isStop) {
        this.#state = state;
        if (!this.#branch(state, at)) return at;
        state = this.#automaton.step(state, text[at++] as number);
      }
      if (longest[state] !== -1 || triggerIn[state] !== -1) {
        this.#state = state;
        if (!this.#arrive(state, at)) return at;
      }
      if (isStop && this.#readings.length > 0) break;
    }
    this.#state = state;
    return at;
  }

  /** Skips text without a needle. Returns the offset where the automaton is needed again, and sets its state. */
  #skip(from: number): number {
    const { filter, step } = this.#automaton;
    const at = filter?.next(this.#text.bytes, this.#words, from) ?? from;
    this.#shortSkips = at - from < SHORT_SKIP_BYTES ? this.#shortSkips + 1 : 0;
    if (this.#shortSkips > MAX_SHORT_SKIPS) {
      this.#shortSkips = 0;
      this.#unfilteredTo = this.#text.position + at + UNFILTERED_BYTES;
    }
    if (filter?.isDense) this.#unfilteredTo = this.#text.position + at + UNFILTERED_DENSE_BYTES;
    if (at === from) return at;
    let state = 0;
    for (let before = at - PREFIX_BYTES; before < at; before++)
      state = step(state, this.#text.bytes[before] as number);
    this.#state = state;
    return at;
  }

  /** Scans byte by byte while there are readings of an escape; returns the offset where the scan stopped. */
  #scanReadings(from: number): number {
    const text = this.#text.bytes;
    const { step } = this.#automaton;
    let at = from;
    for (; this.#readings.length > 0; at++) {
      if (!this.#check(at)) return at;
      if (this.#readings.length > 1)
        this.#readings = prunedReadings(this.#automaton, this.#readings, this.#text.position + at);
      if (at === text.length) return at;
      const byte = text[at] as number;
      const count = this.#readings.length;
      if (this.#mayStopAt(byte)) {
        if (!this.#branch(this.#state, at)) return at;
        for (let index = 0; index < count; index++) {
          const reading = this.#readings[index] as Reading;
          if (reading.at === this.#text.position + at && !this.#branch(reading.state, at, reading)) return at;
        }
      }
      this.#state = step(this.#state, byte);
      stepReadings(this.#readings, count, byte, this.#text.position + at, this.#automaton);
      if (!this.#arrive(this.#state, at + 1)) return at + 1;
    }
    return at;
  }

  #mayStopAt(byte: number): boolean {
    const { classOf, stopClasses } = this.#automaton;
    // A `0` may begin a `0x`, which is skipped in a list of digits such as `0x4a, 0x6f`.
    return ((classOf[byte] as number) > 0 && (classOf[byte] as number) <= stopClasses) || byte === ZERO;
  }

  /** Checks the matches that end at `at`. False when a check needs bytes that have not arrived yet. */
  #check(at: number): boolean {
    const wasUnchecked = this.#unchecked;
    this.#unchecked = "nothing";
    if (wasUnchecked === "text" && !this.#arrive(this.#state, at)) return false;
    for (const reading of this.#readings) {
      if (!this.#isOpen(reading, at)) continue;
      if (!this.#matches.add(reading.state, at, reading)) {
        this.#unchecked = "reading";
        return false;
      }
      reading.isChecked = true;
    }
    return true;
  }

  #isOpen(reading: Reading, at: number): boolean {
    return reading.at === this.#text.position + at && !reading.isChecked;
  }

  /** Adds the needle and the trigger that end at `at`. False when a check needs bytes that have not arrived. */
  #arrive(state: number, at: number): boolean {
    if (!this.#matches.add(state, at)) {
      this.#unchecked = "text";
      return false;
    }
    const trigger = this.#automaton.triggerIn[state] as number;
    if (trigger !== -1) this.hits.push(this.#text.position + at, trigger);
    return true;
  }

  /**
   * Starts readings for an escape that begins at `at`, or for a gap (separator) that needles allow there. Returns false
   * when that depends on bytes that have not arrived yet.
   */
  #branch(state: number, at: number, earlier?: Reading): boolean {
    const byte = this.#text.bytes[at] as number;
    const { introduces, isTwice } = this.#automaton;
    if (introduces[byte] === 1 && isTwice[byte] === 0 && isWithinRun(this.#text.bytes, at)) return true;
    if (introduces[byte] === 0) {
      this.#passGap(state, at, byte, at + 1, earlier);
      return !earlier || byte !== ZERO || this.#passPrefix(state, at, earlier);
    }
    if (mayBeNothing(this.#text.bytes, at)) return this.#passNothing(state, at, earlier);
    if (this.#readAt !== at) {
      this.#readAt = -1;
      this.#single = this.#singles.read(this.#text.bytes, at);
      if (this.#single === MANY && !this.#reader.read(this.#text.bytes, at, this.#text.isAll)) {
        this.#waitsAt = at;
        return false;
      }
      this.#readAt = at;
      this.#singleNext = this.#singles.next;
    }
    const code = this.#single;
    // Most escapes stand for a byte with which no needle begins.
    if (code < 0x80 && code >= 0 && state === 0 && this.#automaton.begins[code] === 0) return true;
    if (code >= EITHER) {
      this.#follow(state, at, code - EITHER, this.#singleNext, earlier);
      this.#follow(state, at, code - EITHER + RAW_BYTE, this.#singleNext, earlier);
    } else if (code >= 0) this.#follow(state, at, code, this.#singleNext, earlier);
    if (code !== MANY) return true;
    const { codes, nexts, count } = this.#reader;
    for (let index = 0; index < count; index++) {
      this.#follow(state, at, codes[index] as number, nexts[index] as number, earlier);
    }
    return true;
  }

  /** Skips a soft line break or colour, which matters only inside a needle. False when its end has not arrived yet. */
  #passNothing(state: number, at: number, earlier?: Reading): boolean {
    if (state === 0) return true;
    const next = behindNothing(this.#text.bytes, at);
    if (next === UNKNOWN && !this.#text.isAll) {
      this.#waitsAt = at;
      return false;
    }
    if (next >= 0) this.#start(state, at, next, 0, earlier);
    return true;
  }

  /** Skips the bytes from `at` to `next`, which stand for `byte`, if needles allow `byte` as a separator here. */
  #passGap(state: number, at: number, byte: number, next: number, earlier?: Reading): void {
    const { gaps, isAnyGap } = this.#automaton;
    if (state === 0 || isAnyGap[byte] === 0) return;
    // Blanks behind a line end indent the next line.
    const isLine = IS_LINE_END[byte] === 1 || earlier?.isBehindNothing === true;
    for (let kind = 0; kind < gaps.length; kind++) {
      const { states, lineStates, isGap, minDepth } = gaps[kind] as AutomatonGaps;
      const onward = (isLine ? lineStates : states)[state] as number;
      if (onward === 0 || isGap[byte] === 0) continue;
      if (!this.#lookAhead.endsSoon(this.#text.bytes, onward, next, isLine ? 1 : minDepth))
        this.#start(onward, at, next, 0, earlier, gapOf(byte, isLine));
    }
  }

  /**
   * Skips the `0x` in a list of digits such as `0x4a, 0x6f`, from the second number on: before the first there is no
   * separator. Returns false when the byte after `0` has not arrived yet.
   */
  #passPrefix(state: number, at: number, earlier: Reading): boolean {
    const hex = this.#automaton.gaps.find(({ kind }) => kind === "hex");
    if (hex?.states[state] !== state) return true;
    if (at + 1 === this.#text.bytes.length && !this.#text.isAll) {
      this.#waitsAt = at;
      return false;
    }
    if (this.#text.bytes[at + 1] === X) this.#start(state, at, at + 2, 0, earlier);
    return true;
  }

  /** Starts readings in which the bytes from `at` to `next` stand for `code`. */
  #follow(state: number, at: number, code: number, next: number, earlier?: Reading): void {
    if (code === NOTHING) {
      if (state !== 0) this.#start(state, at, next, 0, earlier);
      return;
    }
    const { step } = this.#automaton;
    if (code < 0x80) {
      this.#passGap(state, at, code, next, earlier);
      this.#start(step(state, code), at, next, 1, earlier);
    } else if (code >= RAW_BYTE) {
      this.#start(step(state, code - RAW_BYTE), at, next, 1, earlier);
    } else {
      const bytes = utf8Of(code);
      let onward = state;
      for (let left = bytes; left !== 0; left >>>= 8) onward = step(onward, left & 0xff);
      this.#start(onward, at, next, utf8Length(code), earlier);
    }
  }

  #start(state: number, at: number, next: number, count: number, earlier?: Reading, skip = NO_GAP): void {
    if (state === 0 || this.#lookAhead.endsSoon(this.#text.bytes, state, next, 1)) return;
    const { position } = this.#text;
    const reading = Reading.of(state, position + at, position + next, count, earlier, skip);
    // A longer run without characters ends the match, because a script could otherwise have all of its output held back
    // by blanks.
    if (reading.nothingBytes > MAX_NOTHING_BYTES) return;
    if (reading.spansEscape(this.#automaton)) this.#readings.push(reading);
  }

  /** Ends a scan at the offset `at`. The bytes after it are kept, because the next chunk decides how they are read. */
  #advance(at: number): void {
    const size = this.#readings.length > 0 ? KEPT_WITH_ESCAPES_BYTES : KEPT_BYTES;
    this.#carried = this.#text.close(at, size);
    this.#words = PrefixFilter.wordsOf(NO_BYTES);
  }
}
