/** A row of GET /health. */
export interface Health {
  scope: string;
  name: string;
  status: "healthy" | "degraded" | "unhealthy";
  reasons: string[];
}
