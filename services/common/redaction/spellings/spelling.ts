/** One way in which a program may write a text. */
export type Spelling = {
  write(text: string): string;
  /** The marker is written this way as well, so that what surrounds it stays well-formed. */
  readonly marksToo: boolean;
};
