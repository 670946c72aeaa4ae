import type { NextApiRequest, NextApiResponse } from "next";
import { legwork } from "../../../lib/legwork";

// Legwork reads the bodies and sends the responses itself.
export const config = { api: { bodyParser: false, externalResolver: true } };

export default async function handler(request: NextApiRequest, response: NextApiResponse): Promise<void> {
  (await legwork()).handler(request, response);
}
