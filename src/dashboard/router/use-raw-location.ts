import { type BrowserLocationHook, useBrowserLocation } from "wouter/use-browser-location";

/**
 * The path of the address for the router, which decodes it once with decodeURI. Escaping percent signs keeps `%252F`, which is the text `%2F` in a
 * name, different from `%2F`, which is a slash in a name.
 */
export const useRawLocation: BrowserLocationHook = (options) => {
  const [path, navigate] = useBrowserLocation(options);
  return [path.replaceAll("%25", "%2525"), navigate];
};
