/** @type {import("next").NextConfig} */
export default {
  // Not bundled: Legwork loads task files and its own SQL files at run time.
  serverExternalPackages: ["legwork"],
};
