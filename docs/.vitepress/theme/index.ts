import Theme from "vitepress/theme-without-fonts";
import "./legwork.css";

export default Theme;
