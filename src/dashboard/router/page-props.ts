/** The props of a page: the parameters of its path. */
export interface PageProps {
  parameters: Readonly<Record<string, string | undefined>>;
}
